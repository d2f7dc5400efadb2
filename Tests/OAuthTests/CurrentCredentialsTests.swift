import Basics
import Crypto
import Foundation
import HTTPClient
import IO
import Synchronization
import TestSupport
import Testing

@testable import OAuth

/// What is sent again, and that it is made anew: a refusal speaks of what it was sent with.
@Suite(.timeLimit(.minutes(1))) struct CurrentCredentialsTests {
  private static let token = #"{"access_token":"t","token_type":"Bearer","expires_in":60}"#
  private static let refusal = #"{"error":"invalid_client"}"#

  init() { ThisProcess.ignoreFailingWrites() }

  private func source(_ peer: RawPeer, _ authentication: ClientAuthentication) throws -> TokenSource {
    let client = try OAuthClient(
      name: "test", clientID: "client", authentication: authentication,
      location: .fixed(Endpoints(tokenURL: peer.url + "/token")))
    return try TokenSource(client: client, http: HTTPClient())
  }

  private func mint(_ source: TokenSource) async throws(TokenError) {
    _ = try await source.mint(Grant(audience: "a"), verify: .opaque, deadline: inSeconds(10))
  }

  @Sendable private static func assertion(in request: String) -> String {
    request.firstMatch(of: /client_assertion=([^&]*)/).map { String($0.1) } ?? ""
  }

  @Test("An end beyond all dates in a file is one", arguments: ["1e300", "1e19", "-1e19"])
  func endBeyondDates(_ end: String) {
    let status = file { Self.jwt(#"{"exp":\#(end)}"#) }.status(now: 0)
    #expect(status.expiresAt.map { (0...253_402_300_799).contains($0) } == true)
  }

  @Test("Where a kept connection ends under a request that was read, the tenant sees no assertion twice")
  func lostAssertion() async throws {
    let seen = Mutex<Set<String>>([])
    try await withPeer { connection in
      while let request = connection.request() {
        let isNew = seen.withLock { $0.insert(Self.assertion(in: request)).inserted }
        if connection.number == 1, seen.withLock(\.count) == 2 { return }
        connection.answer(isNew ? "200 OK" : "401 No", body: isNew ? Self.token : Self.refusal)
      }
    } _: { peer in
      let key = try AssertionKey(pem: Secret(P256.Signing.PrivateKey().pemRepresentation.utf8))
      let source = try source(peer, .privateKeyJWT(key))
      for _ in 0..<2 { try await mint(source) }
      #expect(peer.requests.count == 3 && Set(peer.requests.map(Self.assertion)).count == 3)
    }
  }

  @Test("A secret that is refused after it was replaced makes the new one be tried, and is not told")
  func replacedSecret() async throws {
    let secrets = ClientSecrets([Secret("old".utf8)])
    try await withPeer { connection in
      while let request = connection.request() {
        let isOld = request.hasSuffix("=old")
        if isOld { _ = secrets.replace(with: [Secret("new".utf8)]) }
        connection.answer(isOld ? "401 No" : "200 OK", body: isOld ? Self.refusal : Self.token)
      }
    } _: { peer in
      try await mint(source(peer, .secretPost(secrets)))
      #expect(peer.requests.map { $0.hasSuffix("=old") } == [true, false])
    }
  }

  @Test("A new secret is tried once more where the old one, which was good until then, is refused after it")
  func rotatedMeanwhile() async throws {
    let secrets = ClientSecrets([Secret("old".utf8)])
    try await withPeer { connection in
      for answer in [true, false, false, true] {
        guard connection.request() != nil else { return }
        connection.answer(answer ? "200 OK" : "401 No", body: answer ? Self.token : Self.refusal)
      }
      connection.waitForEnd()
    } _: { peer in
      let source = try source(peer, .secretPost(secrets))
      try await mint(source)
      _ = secrets.replace(with: [Secret("new".utf8)])
      try await mint(source)
      #expect(peer.requests.map { $0.hasSuffix("=new") } == [false, true, false, true])
    }
  }

  // MARK: Assertions from a file

  private static func jwt(_ claims: String) -> String {
    [#"{"alg":"RS256"}"#, claims, "signature"].map { Base64URL.encode($0.utf8) }.joined(separator: ".")
  }

  private func file(_ contents: @escaping @Sendable () -> String?) -> AssertionFile {
    AssertionFile(path: "/run/token") { () throws(AssertionFile.Unreadable) in
      guard let text = contents() else { throw AssertionFile.Unreadable(reason: "No such file or directory") }
      return Secret(text.utf8)
    }
  }

  @Test("The assertion of a file is sent as it stands there, read each time")
  func fromFile() async throws {
    let texts = [Self.jwt(#"{"exp":4000000000}"#), Self.jwt(#"{"exp":4000000001}"#), Self.jwt("{}")]
    let left = Mutex(texts)
    try await withPeer { connection in
      while connection.request() != nil { connection.answer("200 OK", body: Self.token) }
    } _: { peer in
      let source = try source(peer, .assertionFile(file { left.withLock { " \n\($0.removeFirst())\n" } }))
      for _ in texts { try await mint(source) }
      #expect(peer.requests.map(Self.assertion) == texts)
      #expect(peer.requests.allSatisfy { $0.contains("client_id=client&client_assertion_type=urn%3Aietf%3Aparams") })
    }
  }

  @Test("An assertion is sent as what its server takes it for", arguments: AssertionFile.Kind.allCases)
  func kinds(_ kind: AssertionFile.Kind) async throws {
    try await withPeer { connection in
      if connection.request() != nil { connection.answer("200 OK", body: Self.token) }
    } _: { peer in
      let file = AssertionFile(path: "/run/token", kind: kind) { Secret(Self.jwt("{}").utf8) }
      try await mint(source(peer, .assertionFile(file)))
      #expect(peer.requests.first?.contains("assertion-type%3A\(kind.rawValue)&") == true)
    }
  }

  @Test("An assertion that is refused after its file has changed makes the new one be tried")
  func replacedAssertion() async throws {
    let current = Mutex(Self.jwt(#"{"jti":"old"}"#))
    let old = current.withLock(\.self)
    try await withPeer { connection in
      while let request = connection.request() {
        let isOld = Self.assertion(in: request) == old
        if isOld { current.withLock { $0 = Self.jwt(#"{"jti":"new"}"#) } }
        connection.answer(isOld ? "401 No" : "200 OK", body: isOld ? Self.refusal : Self.token)
      }
    } _: { peer in
      try await mint(source(peer, .assertionFile(file { current.withLock(\.self) })))
      #expect(peer.requests.count == 2)
    }
  }

  @Test(
    "A file without a good assertion asks the tenant nothing, and says why",
    arguments: [
      (nil, "cannot be read: No such file"), ("", "is empty"), (" \n", "is empty"), ("hunter2", "holds no JWT"),
      ("a.b.c", "holds no JWT"), ("\(jwt("{}")).x", "holds no JWT"), (jwt(#"{"exp":"hunter2"}"#), "holds no JWT"),
      (String(jwt("{}").dropLast(12)), "holds no JWT"), (jwt(#"{"exp":1000}"#), "expired"),
    ] as [(String?, String)])
  func unusable(_ contents: String?, _ reason: String) async throws {
    try await withPeer { connection in
      connection.waitForEnd()
    } _: { peer in
      let source = try source(peer, .assertionFile(file { contents }))
      let error = await #expect(throws: TokenError.self) { try await mint(source) }
      #expect(
        error?.cause == .brokerMisconfigured && error?.message.contains(reason) == true, "\(error?.message ?? "")")
      #expect(error?.message.contains("hunter2") == false && peer.connections == 0)
    }
  }

  @Test("An assertion's end is told, also when it is over")
  func status() async throws {
    let file = file { Self.jwt(#"{"exp":1000.5}"#) }
    #expect(file.status(now: 1000).expiresAt == 1000.5 && file.status(now: 1000).problem == nil)
    #expect(file.status(now: 1001).expiresAt == 1000.5 && file.status(now: 1001).problem?.contains("expired") == true)
  }
}
