import Basics
import Crypto
import Dispatch
import Foundation
import HTTPClient
import IO
import Synchronization
import Testing
import TestSupport

@testable import OAuth

/// Tokens made by hand with swift-crypto, as a Kubernetes cluster would make them.
@Suite(.timeLimit(.minutes(1))) struct JWTVerifierTests {
  private static let issuer = "https://kubernetes.default.svc.cluster.local"
  private static let audience = "token-broker"
  private static let subject = "system:serviceaccount:jobs:batch"
  private let key = P256.Signing.PrivateKey()

  init() { ThisProcess.ignoreFailingWrites() }

  private func keySet(_ kid: String = "k1") -> String {
    let raw = key.publicKey.rawRepresentation
    return #"{"keys":[{"kty":"EC","crv":"P-256","use":"sig","alg":"ES256","kid":"\#(kid)","#
      + #""x":"\#(Base64URL.encode(raw.prefix(32)))","y":"\#(Base64URL.encode(raw.suffix(32)))"}]}"#
  }

  /// `changes` replaces claims by other JSON, or removes those that are nil.
  private func token(
    _ changes: [String: String?] = [:], header: String = #"{"alg":"ES256","kid":"k1"}"#
  ) throws -> [UInt8] {
    let now = Int(Date().timeIntervalSince1970)
    let claims = [
      "iss": #""\#(Self.issuer)""#, "aud": #"["\#(Self.audience)"]"#, "sub": #""\#(Self.subject)""#,
      "exp": "\(now + 600)", "iat": "\(now)", "nbf": "\(now)", "kubernetes.io": #"{"namespace":"jobs"}"#,
    ].merging(changes) { $1 }
    let members = claims.compactMap { name, value in value.map { #""\#(name)":\#($0)"# } }
    let payload = Data("{\(members.joined(separator: ","))}".utf8)
    let input = "\(Base64URL.encode(Data(header.utf8))).\(Base64URL.encode(payload))"
    let signature = try key.signature(for: Data(input.utf8)).rawRepresentation
    return Array("\(input).\(Base64URL.encode(signature))".utf8)
  }

  private func local() throws -> JWTVerifier {
    try JWTVerifier(issuer: Self.issuer, audience: Self.audience, keys: .document(Array(keySet().utf8)))
  }

  private func reason(_ verifier: JWTVerifier, _ token: [UInt8], deadline: Instant? = nil) async -> String {
    do throws(JWTVerifier.Failure) {
      return "accepted: \(try await verifier.verify(token, deadline: deadline ?? inSeconds(10)).subject)"
    } catch {
      switch error {
      case .refused(let reason): return "refused: \(reason)"
      case .unavailable(let reason, _, _): return "unavailable: \(reason)"
      }
    }
  }

  @Test("A good token says who its bearer is, and until when")
  func good() async throws {
    let before = Instant.now
    let verified = try await local().verify(try token(), deadline: inSeconds(10))
    #expect(verified.subject == Self.subject)
    let life = before.duration(to: verified.expiresAt)
    #expect(life > .seconds(590) && life < .seconds(610))
  }

  @Test(
    "A token is refused for any claim that does not fit",
    arguments: [
      ("iss", #""https://kubernetes.default.svc""#, "issuer"), ("iss", nil, "claims"),
      ("aud", #"["other"]"#, "audience"), ("aud", nil, "audience"), ("aud", #""token-broker ""#, "audience"),
      ("aud", "[]", "audience"), ("sub", nil, "subject"), ("sub", #""""#, "subject"), ("sub", "7", "subject"),
      ("exp", "1", "expired"), ("exp", nil, "claims"), ("iat", "4000000000", "future"),
      ("nbf", "4000000000", "not valid yet"), ("cnf", #"{"jkt":"x"}"#, "cnf"),
    ] as [(String, String?, String)])
  func claims(_ name: String, _ value: String?, _ expected: String) async throws {
    let reason = await reason(try local(), try token([name: value]))
    #expect(reason.hasPrefix("refused") && reason.contains(expected), "\(reason)")
  }

  @Test("exp gets no leeway, iat and nbf get a minute")
  func leeway() async throws {
    let now = Int(Date().timeIntervalSince1970)
    for (changes, isAccepted) in [
      (["exp": "\(now)"], false), (["exp": "\(now - 30)"], false),
      (["iat": "\(now + 50)", "nbf": "\(now + 50)"], true),
      (["iat": "\(now + 90)"], false), (["nbf": "\(now + 90)"], false),
    ] as [([String: String?], Bool)] {
      let reason = await reason(try local(), try token(changes))
      #expect(reason.hasPrefix("accepted") == isAccepted, "\(changes): \(reason)")
    }
  }

  @Test(
    "A token is refused for a header that promises less than a signature by a known key",
    arguments: [
      (#"{"alg":"none","kid":"k1"}"#, "algorithm"), (#"{"alg":"HS256","kid":"k1"}"#, "algorithm"),
      (#"{"alg":"ES256","kid":"k2"}"#, "publish"), (#"{"alg":"RS256","kid":"k1"}"#, "publish"),
      (#"{"alg":"ES384","kid":"k1"}"#, "publish"), (#"{"alg":"ES256","kid":"k1","crit":["x"]}"#, "crit"),
      (#"{"alg":"ES256","alg":"none","kid":"k1"}"#, "header"), ("[]", "header"),
    ])
  func headers(_ header: String, _ expected: String) async throws {
    let reason = await reason(try local(), try token(header: header))
    #expect(reason.hasPrefix("refused") && reason.contains(expected), "\(reason)")
  }

  @Test("What is no token is refused, and one that was changed or signed by another key")
  func damaged() async throws {
    let verifier = try local()
    let good = try token()
    var flipped = good
    flipped[good.count - 10] ^= 1
    let foreign = try JWTVerifierTests().token()
    let unsigned = Array(String(decoding: good, as: UTF8.self).prefix { $0 != "." }.utf8) + Array(".e30.".utf8)
    let bad: [[UInt8]] = [
      [], [0], Array("a.b".utf8), Array("a.b.c.d.e".utf8), [0xFF, 0xFE], flipped, foreign, unsigned, good + [0x0A],
      Array(repeating: 0x61, count: 20000), Array(good.dropLast(2)),
    ]
    for token in bad { #expect(await reason(verifier, token).hasPrefix("refused")) }
    #expect(await reason(verifier, good) == "accepted: \(Self.subject)")
  }

  @Test(
    "A document without a key to verify with is no document",
    arguments: ["", "{}", "[]", #"{"keys":[]}"#, #"{"keys":[{"kty":"oct","k":"AAAA"}]}"#])
  func documents(_ json: String) {
    let error = #expect(throws: InvalidSetting.self) {
      try JWTVerifier(issuer: Self.issuer, audience: Self.audience, keys: .document(Array(json.utf8)))
    }
    #expect(error?.setting == "jwksFile")
  }

  @Test("A key set in clear from another machine is refused")
  func url() throws {
    let http = try HTTPClient()
    let error = #expect(throws: InvalidSetting.self) {
      try JWTVerifier(
        issuer: Self.issuer, audience: Self.audience, keys: .remote(url: "http://a.example.com/", http: http))
    }
    #expect(error?.setting == "jwksURL")
  }

  // MARK: Keys from a server

  /// A server of one document, which counts and may be told to fail.
  private final class KeyServer: Sendable {
    let answer: Mutex<(status: String, body: String)>

    init(_ body: String) { answer = Mutex(("200 OK", body)) }

    func play(_ connection: RawPeer.Connection) {
      while connection.request() != nil {
        let answer = answer.withLock { $0 }
        connection.answer(answer.status, body: answer.body)
      }
    }
  }

  private func withServer(
    file: String? = nil, _ body: (RawPeer, KeyServer, JWTVerifier) async throws -> Void
  ) async throws {
    let server = KeyServer(keySet())
    try await withPeer {
      server.play($0)
    } _: { peer in
      let verifier = try JWTVerifier(
        issuer: Self.issuer, audience: Self.audience,
        keys: .remote(
          url: peer.url + "/openid/v1/jwks", bearerToken: file.map(Self.bearerToken), http: try HTTPClient()))
      try await body(peer, server, verifier)
    }
  }

  private static func bearerToken(in file: String) -> JWTVerifier.Keys.BearerToken {
    { () throws(InvalidSetting) in
      do throws(FileError) {
        return try Secret(file: file)
      } catch {
        throw InvalidSetting("tokenFile", error.reason)
      }
    }
  }

  @Test("Keys are asked for once, in a way that Kubernetes answers")
  func remote() async throws {
    try await withServer { peer, _, verifier in
      for _ in 0..<10 {
        let reason = await reason(verifier, try token())
        #expect(reason == "accepted: \(Self.subject)")
      }
      #expect(peer.requests.count == 1)
      #expect(peer.requests.first?.contains("Accept: application/jwk-set+json, application/json\r\n") == true)
      #expect(peer.requests.first?.contains("Authorization") == false)
    }
  }

  @Test("A flood of unknown keys costs one request, is refused at once, and keeps nobody out whose key is known")
  func flood() async throws {
    try await withServer { peer, _, verifier in
      let start = Instant.now
      // The first wave arrives while the keys are being read, the second after that.
      for wave in 0..<2 {
        try await withThrowingTaskGroup(of: Void.self) { group in
          for index in 0..<100 {
            let unknown = try token(header: #"{"alg":"ES256","kid":"unknown \#(wave) \#(index)"}"#)
            group.addTask {
              let reason = await reason(verifier, unknown)
              #expect(reason.hasPrefix("refused") && reason.contains("publish"), "\(reason)")
            }
          }
          try await group.waitForAll()
        }
      }
      let known = await reason(verifier, try token())
      #expect(known == "accepted: \(Self.subject)")
      #expect(peer.requests.count == 1)
      #expect(start.duration(to: .now) < FetchSchedule<KeySet>.cooldown / 2)
    }
  }

  @Test("While the keys cannot be had that is said, with when to ask again, and the server is not pressed")
  func unavailable() async throws {
    try await withServer { peer, server, verifier in
      server.answer.withLock { $0.status = "403 Forbidden" }
      for _ in 0..<50 {
        let error = await #expect(throws: JWTVerifier.Failure.self) {
          try await verifier.verify(try token(), deadline: inSeconds(10))
        }
        guard case .unavailable(let reason, _, let wait) = error else {
          Issue.record("\(String(describing: error))")
          return
        }
        #expect(reason.contains("403") && wait <= .seconds(30))
      }
      #expect(peer.requests.count < 10)
    }
  }

  @Test("At the deadline verification gives up, while the request for the keys goes on")
  func deadlinePasses() async throws {
    let mayAnswer = DispatchSemaphore(value: 0)
    defer { mayAnswer.signal() }
    try await withPeer { [keySet = keySet()] connection in
      guard connection.request() != nil else { return }
      mayAnswer.wait()
      connection.answer("200 OK", body: keySet)
      connection.waitForEnd()
    } _: { peer in
      let verifier = try JWTVerifier(
        issuer: Self.issuer, audience: Self.audience, keys: .remote(url: peer.url, http: try HTTPClient()))
      // Whoever waited longer would be told what came of the request.
      let reason = await reason(verifier, try token(), deadline: .now)
      #expect(reason == "unavailable: the keys of its issuer cannot be read: no answer yet")
      mayAnswer.signal()
      #expect(await self.reason(verifier, try token()) == "accepted: \(Self.subject)")
      #expect(peer.requests.count == 1)
    }
  }

  @Test("The bearer token is read for each request, and its absence is told")
  func bearer() async throws {
    let path = FileManager.default.temporaryDirectory.appendingPathComponent("token-\(UUID())").path
    defer { try? FileManager.default.removeItem(atPath: path) }
    try await withServer(file: path) { peer, server, verifier in
      let missing = await failure(of: verifier, try token())
      guard case .unavailable(let reason, let evidence, _)? = missing else {
        Issue.record("\(String(describing: missing))")
        return
      }
      #expect(reason.hasSuffix("it cannot be asked for"), "what the broker lacks is not for everybody to know")
      #expect(evidence?[.connection]?.hasSuffix("No such file or directory") == true)
      #expect(peer.requests.isEmpty)
      server.answer.withLock { $0.status = "401 Unauthorized" }
      for text in ["first", "second\n"] {
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        let requests = peer.requests.count
        // Until its back-off is over the verifier does not ask; it says how long that is.
        while peer.requests.count == requests {
          guard case .unavailable(_, _, let wait) = await failure(of: verifier, try token()) else { break }
          if peer.requests.count == requests { try await Task.sleep(for: wait) }
        }
      }
      #expect(
        peer.requests.compactMap { $0.firstMatch(of: /Authorization: (.*)\r\n/)?.1 } == [
          "Bearer first", "Bearer second",
        ])
      server.answer.withLock { $0.status = "200 OK" }
    }
  }

  private func failure(of verifier: JWTVerifier, _ token: [UInt8]) async -> JWTVerifier.Failure? {
    do throws(JWTVerifier.Failure) {
      _ = try await verifier.verify(token, deadline: inSeconds(10))
      return nil
    } catch {
      return error
    }
  }
}
