import Basics
import Foundation
import HTTPClient
import IO
import Synchronization
import Testing
import TestSupport

@testable import OAuth

/// Discovery, from an issuer whose documents a test writes.
@Suite(.timeLimit(.minutes(1))) struct EndpointSourceTests {
  init() { ThisProcess.ignoreFailingWrites() }

  /// Answers by path, which may be changed; anything else is a 404. `{issuer}` stands for the issuer.
  private final class Documents: Sendable {
    let answers: Mutex<[String: (status: String, body: String)]>

    init(_ answers: [String: (String, String)]) { self.answers = Mutex(answers.mapValues { ($0.0, $0.1) }) }

    func set(_ path: String, _ status: String, _ body: String) { answers.withLock { $0[path] = (status, body) } }

    func play(_ connection: RawPeer.Connection) {
      while let request = connection.request() {
        let host = request.split(separator: "\r\n").first { $0.hasPrefix("Host: ") }?.dropFirst(6) ?? ""
        let path = request.split(separator: " ")[1]
        let answer = answers.withLock { $0[String(path)] } ?? ("404 Not Found", "<html>")
        let location = answer.0.hasPrefix("3") ? "Location: /elsewhere\r\n" : ""
        connection.answer(
          answer.0, location, body: answer.1.replacingOccurrences(of: "{issuer}", with: "http://\(host)"))
      }
    }
  }

  private static let oidc = "/.well-known/openid-configuration"
  private static let rfc8414 = "/.well-known/oauth-authorization-server"

  private static func document(
    issuer: String = "{issuer}", token: String = "{issuer}/token", keys: String = "{issuer}/keys", more: String = ""
  ) -> String {
    #"{"issuer":"\#(issuer)","token_endpoint":"\#(token)","jwks_uri":"\#(keys)"\#(more)}"#
  }

  private func withIssuer<Result>(
    _ documents: Documents, path: String = "", identity: HTTPClient.Identity? = nil,
    _ body: (RawPeer, EndpointSource) async throws -> Result
  ) async throws -> Result {
    try await withPeer {
      documents.play($0)
    } _: { peer in
      let client = try OAuthClient(
        name: "test", clientID: "c",
        authentication: identity.map { .tlsClient($0) } ?? .secretPost(ClientSecrets([])),
        location: .discovered(issuer: peer.url + path))
      return try await body(peer, EndpointSource(client: client, http: try HTTPClient()))
    }
  }

  @Test(
    "Endpoints are read from either document, once, at whichever place it is, behind the issuer's path or before it",
    arguments: [
      ("", oidc, [oidc]), ("/", oidc, [oidc]), ("", rfc8414, [oidc, rfc8414]),
      ("/realms/x", "/realms/x\(oidc)", ["/realms/x\(oidc)"]),
      ("/realms/x", "\(rfc8414)/realms/x", ["/realms/x\(oidc)", "\(rfc8414)/realms/x"]),
      ("/o/", "/o\(rfc8414)", ["/o\(oidc)", "\(rfc8414)/o", "/o\(rfc8414)"]),
      ("/o", "\(oidc)/o", ["/o\(oidc)", "\(rfc8414)/o", "/o\(rfc8414)", "\(oidc)/o"]),
    ])
  func found(_ path: String, _ place: String, _ expected: [String]) async throws {
    let documents = Documents([place: ("200 OK", Self.document(issuer: "{issuer}\(path)"))])
    try await withIssuer(documents, path: path) { peer, source in
      #expect(await source.known == nil && peer.requests.isEmpty, "nothing is asked before it is needed")
      for _ in 0..<3 {
        let endpoints = try await source.endpoints(by: inSeconds(10))
        #expect(
          try endpoints
            == Endpoints(tokenURL: peer.url + "/token", jwksURL: peer.url + "/keys", issuer: peer.url + path))
      }
      #expect(peer.requests.map { $0.split(separator: " ")[1].description } == expected)
    }
  }

  @Test(
    "A document that is not there, or is none, gives way to the other",
    arguments: [
      ("404 Not Found", ""), ("400 Bad Request", "{}"), ("302 Found", ""), ("200 OK", "<html>"), ("200 OK", ""),
      ("200 OK", #"{"token_endpoint":"https://a/"}"#),
    ])
  func fallback(_ status: String, _ body: String) async throws {
    let documents = Documents([Self.oidc: (status, body), Self.rfc8414: ("200 OK", Self.document())])
    try await withIssuer(documents) { _, source in
      let endpoints = try await source.endpoints(by: inSeconds(10))
      #expect(endpoints.tokenURL.hasSuffix("/token"))
    }
  }

  @Test(
    "A document that cannot be relied on is refused, and no other is looked for",
    arguments: [
      (document(issuer: "{issuer}/"), .brokerMisconfigured), (document(issuer: "https://evil"), .brokerMisconfigured),
      (document(issuer: "{issuer}\\u0000"), .brokerMisconfigured),
      (document(token: "http://a.example.com/t"), .invalidUpstreamResponse),
      (document(keys: "http://a.example.com/t"), .invalidUpstreamResponse),
      (document(keys: "file:///etc/passwd"), .invalidUpstreamResponse),
      (document(more: #","issuer":"{issuer}""#), .invalidUpstreamResponse),
      (#"{"issuer":"{issuer}"}"#, .invalidUpstreamResponse),
    ] as [(String, TokenError.Cause)])
  func unreliable(_ document: String, _ cause: TokenError.Cause) async throws {
    let documents = Documents([Self.oidc: ("200 OK", document), Self.rfc8414: ("200 OK", Self.document())])
    try await withIssuer(documents) { peer, source in
      let error = await #expect(throws: TokenError.self) { try await source.endpoints(by: inSeconds(10)) }
      #expect(error?.cause == cause, "\(error?.message ?? "")")
      #expect(peer.requests.count == 1)
    }
  }

  @Test("Without a document at either place, the error says where one was looked for")
  func none() async throws {
    try await withIssuer(Documents([:])) { peer, source in
      let error = await #expect(throws: TokenError.self) { try await source.endpoints(by: inSeconds(10)) }
      #expect(error?.cause == .upstreamGlitch && error?.message.contains(Self.rfc8414) == true)
      #expect(peer.requests.count == 2)
    }
  }

  @Test("A failure is remembered for as long as it says, and then the issuer is asked again")
  func recovery() async throws {
    let documents = Documents([Self.oidc: ("503 Unavailable", "")])
    try await withIssuer(documents) { peer, source in
      let refusal: @Sendable () async throws -> Duration = {
        let error = await #expect(throws: TokenError.self) { try await source.endpoints(by: inSeconds(10)) }
        #expect(error?.cause == .upstreamUnavailable && error?.upstreamStatus == 503)
        return try #require(error?.retryAfter)
      }
      // All at once but the first, so that a slow machine takes no longer than the issuer is left alone.
      let first = try await refusal()
      let wait = try await withThrowingTaskGroup(of: Duration.self) { group in
        for _ in 1..<50 { group.addTask { try await refusal() } }
        return try await group.reduce(first, max)
      }
      #expect(wait <= .milliseconds(500))
      #expect(peer.requests.count <= 2, "fifty callers in a moment cost no more than the first of them")
      documents.set(Self.oidc, "200 OK", Self.document())
      // The wait is the behaviour: before it is over the issuer is left alone.
      try await Task.sleep(for: wait)
      #expect(try await source.endpoints(by: inSeconds(10)).tokenURL == peer.url + "/token")
    }
  }

  @Test("Many who need them at once cost one request")
  func singleFlight() async throws {
    try await withIssuer(Documents([Self.oidc: ("200 OK", Self.document())])) { peer, source in
      try await withThrowingTaskGroup(of: Void.self) { group in
        for _ in 0..<50 { group.addTask { _ = try await source.endpoints(by: inSeconds(10)) } }
        try await group.waitForAll()
      }
      #expect(peer.requests.count == 1)
    }
  }

  @Test("A caller leaves at its deadline, and those with more time get what comes")
  func deadline() async throws {
    let (gate, opening) = AsyncStream<Void>.makeStream()
    let held = Mutex<RawPeer.Connection?>(nil)
    try await withPeer { connection in
      guard connection.request() != nil else { return }
      held.withLock { $0 = connection }
      opening.yield()
      connection.waitForEnd()
    } _: { peer in
      let client = try OAuthClient(
        name: "test", clientID: "c", authentication: .secretPost(ClientSecrets([])),
        location: .discovered(issuer: peer.url))
      let source = EndpointSource(client: client, http: try HTTPClient())
      async let other = source.endpoints(by: inSeconds(10))
      for await _ in gate { break }
      // Nothing is answered before this one has left.
      let error = await #expect(throws: TokenError.self) { try await source.endpoints(by: inSeconds(0)) }
      #expect(error?.cause == .upstreamTimeout)
      held.withLock { $0 }?.answer(
        "200 OK", body: Self.document().replacingOccurrences(of: "{issuer}", with: peer.url))
      #expect(try await other.tokenURL == peer.url + "/token")
      #expect(peer.requests.count == 1)
      held.withLock { $0 = nil }
    }
  }

  @Test("Who authenticates by certificate is sent to the endpoint that is meant for that, and nobody else")
  func aliases() async throws {
    let more = #","mtls_endpoint_aliases":{"token_endpoint":"{issuer}/mtls"}"#
    let documents = Documents([Self.oidc: ("200 OK", Self.document(more: more))])
    let identity = HTTPClient.Identity(certificateFile: "c", keyFile: "k")
    for (identity, path) in [(nil, "/token"), (identity, "/mtls")] {
      try await withIssuer(documents, identity: identity) { peer, source in
        let endpoints = try await source.endpoints(by: inSeconds(10))
        #expect(endpoints.tokenURL == peer.url + path)
      }
    }
  }

  @Test(
    "An issuer that no metadata can be read from is refused", arguments: ["http://a.example.com/", "a", "https://a/?x"])
  func issuer(_ issuer: String) {
    let error = #expect(throws: InvalidSetting.self) {
      try OAuthClient(
        name: "x", clientID: "c", authentication: .secretPost(ClientSecrets([])), location: .discovered(issuer: issuer))
    }
    #expect(error?.setting == "issuer")
  }
}
