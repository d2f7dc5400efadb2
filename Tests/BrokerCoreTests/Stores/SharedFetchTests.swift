import Basics
import Testing

@testable import BrokerCore
@testable import OAuth

@Suite struct SharedFetchTests {
  private let now = Instant(nanoseconds: 1_000_000_000_000)
  private let claim = StoreClaim(name: StoreName(Array(repeating: 7, count: 32)), fence: 1)

  private func token(_ name: String, age: Double = 0, lifetime: Double = 3600) -> MintedToken {
    mintedToken(name, at: now.advanced(by: .seconds(-age)), lifetime: lifetime)
  }

  private func fetch(holding: MintedToken? = nil, timeout: Duration = .seconds(30)) -> SharedFetch {
    SharedFetch(holding: holding, minRemaining: .seconds(30), deadline: now.advanced(by: timeout))
  }

  private func say(_ step: SharedFetch.Step) -> String {
    switch step {
    case .mint(let claim): claim == nil ? "mint unclaimed" : "mint"
    case .wait(let until): "wait \(now.duration(to: until).milliseconds)"
    case .finish(.success(let token), let claim):
      "\(token.accessToken.value)\(claim == nil ? "" : ", released")"
    case .finish(.failure(let error), let claim): "\(error.cause.rawValue)\(claim == nil ? "" : ", released")"
    }
  }

  @Test("What the tenant said of a refusal goes into no store")
  func evidence() throws {
    var error = TokenError(cause: .unknownAudience, message: "no such API")
    error.evidence = Evidence(error: "access_denied", description: "Service not enabled")
    let failure = try #require(SharedFailure(error))
    let record = try #require(StoreRecord.encode(StoreRecord.Failure(failure, wallNow: 0)))
    let text = String(decoding: record, as: UTF8.self)
    #expect(text.contains("no such API") && !text.contains("access_denied") && !text.contains("Service"))
  }

  @Test("Who has the claim asks the tenant, unless what it wants is there already")
  func granted() {
    let failure = TokenError(cause: .upstreamRateLimited, message: "429", retryAfter: .seconds(9))
    let held = token("held", age: 600)
    let table: [(MintedToken?, SharedFinding, String)] = [
      (nil, SharedFinding(), "mint"),
      (nil, SharedFinding(token: token("other", age: 10)), "other, released"),
      (nil, SharedFinding(token: token("dying", age: 3580)), "mint"),
      (held, SharedFinding(token: held), "mint"),
      (held, SharedFinding(token: token("newer", age: 10)), "newer, released"),
      (held, SharedFinding(token: token("replayed", age: 900)), "mint"),
      (nil, SharedFinding(failure: failure), "upstream_rate_limited, released"),
      (held, SharedFinding(token: held, failure: failure), "upstream_rate_limited, released"),
      (nil, SharedFinding(token: token("other", age: 10), failure: failure), "other, released"),
    ]
    for (holding, found, expected) in table {
      var fetch = fetch(holding: holding)
      #expect(say(fetch.step(.granted(claim), found, now: now)) == expected, "\(found)")
    }
  }

  @Test("Where nothing can be claimed, what is there is the answer, and else the tenant is asked")
  func unclaimed() {
    var fetch = fetch()
    let failure = TokenError(cause: .upstreamRateLimited, message: "429", retryAfter: .seconds(9))
    #expect(say(fetch.step(nil, SharedFinding(), now: now)) == "mint unclaimed")
    #expect(say(fetch.step(nil, SharedFinding(token: token("other", age: 10)), now: now)) == "other")
    #expect(say(fetch.step(nil, SharedFinding(failure: failure), now: now)) == "upstream_rate_limited")
  }

  @Test("Who has not waits: a moment at first, a second at most, never past the claim's or its own time")
  func taken() {
    var fetch = fetch()
    let waits = (0..<7).map { _ in say(fetch.step(.taken(.seconds(3)), SharedFinding(), now: now)) }
    #expect(waits == [50, 100, 200, 400, 800, 1000, 1000].map { "wait \($0)" })
    #expect(say(fetch.step(.taken(.milliseconds(20)), SharedFinding(), now: now)) == "wait 20")
    var hurried = self.fetch(timeout: .milliseconds(10))
    #expect(say(hurried.step(.taken(.seconds(3)), SharedFinding(), now: now)) == "wait 10")
    let late = now.advanced(by: .milliseconds(10))
    #expect(say(hurried.step(.taken(.seconds(3)), SharedFinding(), now: late)) == "upstream_timeout")
    #expect(say(fetch.step(.taken(.seconds(3)), SharedFinding(token: token("other")), now: now)) == "other")
  }

  @Test("Without a store each broker is for itself")
  func unavailable() {
    var fetch = fetch()
    #expect(say(fetch.step(nil, SharedFinding(), now: now)) == "mint unclaimed")
  }

  @Test("Others are told of what concerns them, for as long as it holds")
  func failures() throws {
    func failure(_ code: TokenError.Cause, _ retryAfter: Duration? = nil) -> SharedFailure? {
      SharedFailure(TokenError(cause: code, message: "", retryAfter: retryAfter))
    }
    let limit = try #require(failure(.upstreamRateLimited, .seconds(90)))
    #expect(limit.reach == .client && limit.lifetime == .seconds(90))
    #expect(failure(.upstreamRateLimited, .seconds(90_000))?.lifetime == .seconds(3600))
    #expect(failure(.upstreamRateLimited)?.lifetime == .seconds(1))
    #expect(failure(.upstreamUnavailable)?.lifetime == .seconds(1))
    #expect(failure(.upstreamGlitch)?.lifetime == .seconds(1))
    #expect(failure(.unknownAudience)?.lifetime == .seconds(60))
    for code in [TokenError.Cause.brokerMisconfigured, .tokenValidationFailed, .invalidCaller, .overloaded] {
      #expect(failure(code) == nil, "\(code)")
    }
  }
}
