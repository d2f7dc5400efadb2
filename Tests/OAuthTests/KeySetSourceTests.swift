import Basics
import HTTPClient
import IO
import Testing
import TestSupport

@testable import OAuth

@Suite(.timeLimit(.minutes(1))) struct KeySetSourceTests {
  init() { ThisProcess.ignoreFailingWrites() }

  /// Answers metadata at one path and a key set at any other.
  private static func play(_ connection: RawPeer.Connection) {
    while let request = connection.request() {
      let host = request.split(separator: "\r\n").first { $0.hasPrefix("Host: ") }?.dropFirst(6) ?? ""
      let metadata =
        #"{"issuer":"http://\#(host)","token_endpoint":"http://\#(host)/token","jwks_uri":"http://\#(host)/keys"}"#
      connection.answer("200 OK", body: request.contains("openid-configuration") ? metadata : #"{"keys":[]}"#)
    }
  }

  private static func paths(_ peer: RawPeer) -> [String] {
    peer.requests.map { String($0.split(separator: " ")[1]) }
  }

  @Test(
    "A poll reads a key set that was never read if it is needed, and only then", arguments: [(true, 1), (false, 0)])
  func neverRead(_ isNeeded: Bool, _ requests: Int) async throws {
    try await withPeer(Self.play) { peer in
      let source = KeySetSource(http: try HTTPClient()) { KeySetSource.request(peer.url + "/keys") }
      for _ in 0..<3 { await source.poll(isNeeded: isNeeded) }
      #expect(Self.paths(peer) == Array(repeating: "/keys", count: requests))
      #expect(await (source.status.fetchedAt != nil) == isNeeded)
    }
  }

  @Test(
    "The wait that a failing key set or metadata asks for is kept",
    arguments: ["429 Too Many Requests", "503 Unavailable"])
  func retryAfter(_ status: String) async throws {
    try await withPeer { connection in
      while connection.request() != nil { connection.answer(status, "Retry-After: 120\r\n") }
    } _: { peer in
      let source = KeySetSource(http: try HTTPClient()) { KeySetSource.request(peer.url + "/keys") }
      for _ in 0..<3 {
        let error = await #expect(throws: KeySetSource.Unavailable.self) {
          try await source.candidates(kid: "a", algorithm: .rs256, for: .issued(.now), by: inSeconds(10))
        }
        #expect(error.map { $0.retryAt > inSeconds(100) && $0.retryAt < inSeconds(121) } == true)
      }
      #expect(peer.requests.count == 1)
      let client = try OAuthClient(
        name: "test", clientID: "c", authentication: .secretPost(ClientSecrets([])),
        location: .discovered(issuer: peer.url))
      let endpoints = EndpointSource(client: client, http: try HTTPClient())
      for _ in 0..<3 {
        let error = await #expect(throws: TokenError.self) { try await endpoints.endpoints(by: inSeconds(10)) }
        #expect(error?.retryAfter.map { $0 > .seconds(100) && $0 <= .seconds(120) } == true)
      }
      #expect(peer.requests.count == 2)
    }
  }

  @Test("A poll learns from the issuer where the key set is, if that is not known yet")
  func discovered() async throws {
    try await withPeer(Self.play) { peer in
      let client = try OAuthClient(
        name: "test", clientID: "c", authentication: .secretPost(ClientSecrets([])),
        location: .discovered(issuer: peer.url))
      let source = TokenSource(client: client, http: try HTTPClient())
      await source.pollKeySet(isNeeded: false)
      #expect(peer.requests.isEmpty, "nobody holds a token of this client")
      await source.pollKeySet(isNeeded: true)
      #expect(Self.paths(peer) == ["/.well-known/openid-configuration", "/keys"])
    }
  }
}
