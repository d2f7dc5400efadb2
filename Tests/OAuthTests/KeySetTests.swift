import Basics
import JWTKit
import Testing

@testable import OAuth

@Suite struct KeySetTests {
  private let start = Instant.now
  private func at(_ seconds: Double) -> Instant { start.advanced(by: .seconds(seconds)) }

  private static let modulus = String(repeating: "A", count: 342)
  private func rsa(_ kid: String, _ more: String = "") -> String {
    #"{"kty":"RSA","kid":"\#(kid)","n":"\#(Self.modulus)","e":"AQAB"\#(more)}"#
  }
  private func set(_ keys: String...) throws -> KeySet {
    try KeySet(json: Array(#"{"keys":[\#(keys.joined(separator: ","))]}"#.utf8))
  }

  @Test("Only keys for verifying are taken, and one that cannot be read spoils none")
  func decoys() throws {
    let keys = try set(
      rsa("enc", #","use":"enc""#), #"{"kty":"oct","kid":"oct","k":"AAAA"}"#, #"{"kty":"XYZ"}"#, "{}",
      rsa("private", #","d":"AQAB""#), #"{"kty":"RSA","kid":"small","n":"AQAB","e":"AQAB"}"#,
      rsa("good", #","use":"sig""#))
    for kid in ["enc", "oct", "private", "small"] {
      #expect(keys.candidates(kid: kid, algorithm: .rs256).isEmpty, "\(kid)")
    }
    #expect(keys.candidates(kid: "good", algorithm: .rs256).count == 1)
    #expect(keys.candidates(kid: nil, algorithm: .rs256).count == 1)
  }

  @Test("People are told the keys' names, and what they are for")
  func descriptions() throws {
    let keys = try set(
      rsa("any"), rsa("ps", #","alg":"PS256""#), #"{"kty":"EC","crv":"P-256","x":"AAAA","y":"AAAA"}"#, "{}")
    #expect(keys.descriptions.map { $0.id ?? "-" } == ["any", "ps", "-"])
    #expect(keys.descriptions.map(\.algorithm) == ["RSA", "PS256", "EC P-256"])
  }

  @Test("A key serves its own algorithm, or any of its family where it names none")
  func algorithms() throws {
    let keys = try set(
      rsa("any"), rsa("ps", #","alg":"PS256""#),
      #"{"kty":"EC","kid":"ec","crv":"P-256","x":"AAAA","y":"AAAA"}"#)
    #expect(keys.candidates(kid: "any", algorithm: .rs256).count == 1)
    #expect(keys.candidates(kid: "any", algorithm: .ps512).count == 1)
    #expect(keys.candidates(kid: "any", algorithm: .es256).isEmpty)
    #expect(keys.candidates(kid: "ps", algorithm: .rs256).isEmpty)
    #expect(keys.candidates(kid: "ec", algorithm: .es256).count == 1)
    #expect(keys.candidates(kid: "ec", algorithm: .es384).isEmpty)
    #expect(keys.candidates(kid: "ec", algorithm: .rs256).isEmpty)
  }

  @Test("Keys that share a kid are all candidates")
  func duplicateIDs() throws {
    #expect(try set(rsa("a"), rsa("a"), rsa("b")).candidates(kid: "a", algorithm: .rs256).count == 2)
  }

  @Test("What is no key set is refused", arguments: ["", "[]", "{}", #"{"keys":1}"#, "<html>"])
  func unreadable(_ json: String) {
    #expect(throws: (any Error).self) { try KeySet(json: Array(json.utf8)) }
  }

  @Test("A set is kept for five minutes, and an unknown key refetches it once in thirty seconds")
  func freshness() throws {
    var cache = FetchSchedule<KeySet>()
    #expect(cache.wantsFetch(isKnown: false, now: at(0)))
    cache.fetched(try set(), now: at(0))
    #expect(!cache.wantsFetch(isKnown: false, now: at(29.9)), "even when the set is empty")
    #expect(cache.wantsFetch(isKnown: false, now: at(30)))
    #expect(!cache.wantsFetch(isKnown: true, now: at(299)))
    #expect(cache.wantsFetch(isKnown: true, now: at(300)))
  }

  @Test("A token newer than the set is held until the set may be read again; one older than it is judged by it")
  func unknownKey() throws {
    var cache = FetchSchedule<KeySet>()
    #expect(cache.step(isKnown: false, asked: at(0), now: at(0)) == .fetch)
    cache.fetched(try set(rsa("a")), now: at(1))
    #expect(cache.step(isKnown: true, asked: at(0), now: at(2)) == .settled)
    #expect(cache.step(isKnown: false, asked: at(0), now: at(2)) == .settled)
    #expect(cache.step(isKnown: false, asked: at(2), now: at(3)) == .wait(until: at(31)))
    #expect(cache.step(isKnown: false, asked: at(2), now: at(31)) == .fetch)
    cache.failed(now: at(31))
    #expect(cache.step(isKnown: false, asked: at(2), now: at(31.1)) == .wait(until: at(31.25)))
  }

  @Test("While the endpoint fails the old set is kept, and it is asked ever more rarely")
  func failures() throws {
    var cache = FetchSchedule<KeySet>()
    cache.fetched(try set(rsa("a")), now: at(0))
    var now = 300.0
    var waits: [Double] = []
    for _ in 0..<10 {
      cache.failed(now: at(now))
      #expect(cache.current != nil && cache.isFailing)
      let next = try #require(cache.nextFetch)
      #expect(!cache.wantsFetch(isKnown: true, now: next.advanced(by: .nanoseconds(-1))))
      #expect(cache.wantsFetch(isKnown: true, now: next))
      let wait =
        Double(at(now).duration(to: next).components.attoseconds) / 1e18
        + Double(at(now).duration(to: next).components.seconds)
      waits.append(wait)
      now += wait
    }
    #expect(waits == [0.25, 0.5, 1, 2, 4, 8, 16, 30, 30, 30])
    cache.fetched(try set(rsa("a")), now: at(now))
    #expect(!cache.isFailing)
    cache.failed(now: at(now + 300))
    #expect(cache.nextFetch == at(now + 300.25))
  }
}
