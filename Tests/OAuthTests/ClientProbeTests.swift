import HTTPClient
import IO
import TestSupport
import Testing

@testable import OAuth

@Suite struct ClientProbeTests {
  /// Saturday, 1 January 2000, 0:00 UTC.
  private static let date = "Sat, 01 Jan 2000 00:00:00 GMT"
  private static let time = 946_684_800.0

  init() { ThisProcess.ignoreFailingWrites() }

  private static func withProbe(
    _ authentication: ClientAuthentication, _ fields: String = "", metadata: String = "",
    _ body: (RawPeer, ClientProbe) async throws -> Void
  ) async throws {
    try await withPeer { connection in
      while let request = connection.request() {
        let host = request.split(separator: "\r\n").first { $0.hasPrefix("Host: ") }?.dropFirst(6) ?? ""
        connection.answer(
          "200 OK", fields,
          body: #"{"issuer":"http://\#(host)","token_endpoint":"http://\#(host)/token"\#(metadata)}"#)
      }
    } _: { peer in
      let client = try OAuthClient(
        name: "test", clientID: "c", authentication: authentication, location: .discovered(issuer: peer.url))
      try await body(peer, ClientProbe(client, connection: ServerConnection()))
    }
  }

  private static let secretPost = ClientAuthentication.secretPost(ClientSecrets([]))
  private static let certificate = ClientAuthentication.tlsClient(
    HTTPClient.Identity(certificateFile: "c", keyFile: "k"))

  @Test(
    "What a server offers is told where the client's own way to authenticate is not among it",
    arguments: [
      (secretPost, #"["client_secret_basic","private_key_jwt"]"#, ["client_secret_basic", "private_key_jwt"]),
      (secretPost, #"["client_secret_basic","client_secret_post"]"#, nil), (secretPost, "[]", nil),
      (secretPost, #""client_secret_basic""#, nil), (secretPost, "null", nil),
      (certificate, #"["self_signed_tls_client_auth"]"#, nil), (certificate, #"["none"]"#, ["none"]),
    ] as [(ClientAuthentication, String, [String]?)])
  func authMethods(_ authentication: ClientAuthentication, _ offered: String, _ expected: [String]?) async throws {
    let metadata = #","token_endpoint_auth_methods_supported":\#(offered)"#
    try await Self.withProbe(authentication, metadata: metadata) { peer, probe in
      let found = try await probe.metadata(of: peer.url).contents.get()
      #expect(found.otherAuthMethods == expected && found.endpoints.tokenURL == peer.url + "/token")
    }
  }

  @Test("A clock is read off any answer of a server that has a date")
  func anyDate() async throws {
    try await Self.withProbe(Self.secretPost, "Date: \(Self.date)\r\n") { peer, probe in
      let offset = try #require(await probe.clockOffset(at: peer.url + "/token"))
      #expect(offset < -800_000_000, "it is not 2000 any more")
      #expect(peer.requests.count == 1 && !peer.requests[0].contains("client_secret"))
    }
    try await Self.withProbe(Self.secretPost) { peer, probe in
      #expect(await probe.clockOffset(at: peer.url + "/token") == nil)
    }
  }

  @Test(
    "A clock is off by what neither the whole seconds of a date nor the way there explain",
    arguments: [
      (date, nil, time, time, 0), (date, nil, time + 0.9, time + 1, 0), (date, nil, time - 2, time, 0),
      (date, nil, time - 2, time - 1, 1), (date, nil, time + 1.5, time + 9, -0.5),
      (date, nil, time + 601, time + 601, -600),
      (date, nil, time - 601, time - 600, 600),
      // What a cache has held for an hour was dated an hour ago.
      (date, "3600", time + 3600, time + 3600, 0), (date, "3600", time + 3602, time + 3603, 0),
      (date, "3600", time + 3000, time + 3000, 600), (date, "-1", time, time, 0),
      (nil, nil, time, time, nil), ("yesterday", nil, time, time, nil), ("", nil, time, time, nil),
    ] as [(String?, String?, Double, Double, Double?)])
  func clockOffset(_ date: String?, _ age: String?, _ asked: Double, _ answered: Double, _ expected: Double?) {
    #expect(ClientProbe.clockOffset(date: date, age: age, asked: asked, answered: answered) == expected)
  }
}
