import Basics
import Foundation
import IO
import TestSupport
import Testing

@testable import HTTPClient
@testable import OAuth

/// A message may reach any caller: what a tenant, a token or the other end of a connection says is evidence instead,
/// which only operators see.
@Suite(.timeLimit(.minutes(1))) struct CallersMessageTests {
  private static let mark = "F0REIGN"

  init() { ThisProcess.ignoreFailingWrites() }

  private func expectHidden(_ error: TokenError?, as field: String) {
    #expect(error?.message.contains(Self.mark) == false, "\(error?.message ?? "no error")")
    let evidence = error?.evidence?.fields.first { $0.name == field }?.value
    #expect(evidence?.contains(Self.mark) == true, "\(String(describing: error?.evidence?.fields))")
  }

  private func jwt(_ header: String) -> AccessToken {
    AccessToken("\(Base64URL.encode(header.utf8)).\(Base64URL.encode("{}".utf8)).c2ln")
  }

  /// The error that minting comes to where each request is answered like this.
  private func refusal(
    _ status: String, _ body: String, verify: Verification = .jwt, issuer: String? = nil
  ) async throws -> TokenError? {
    try await withPeer { connection in
      while connection.request() != nil { connection.answer(status, body: body) }
    } _: { peer in
      let endpoints = try Endpoints(tokenURL: peer.url + "/t", jwksURL: peer.url + "/k", issuer: "https://i/")
      let client = try OAuthClient(
        name: "test", clientID: "c", authentication: .secretPost(ClientSecrets([Secret("s".utf8)])),
        location: issuer == nil ? .fixed(endpoints) : .discovered(issuer: peer.url))
      let source = TokenSource(client: client, http: try HTTPClient())
      return await #expect(throws: TokenError.self) {
        try await source.mint(Grant(audience: "a"), verify: verify, deadline: inSeconds(10))
      }
    }
  }

  @Test("A token's type")
  func tokenType() async throws {
    let body = #"{"access_token":"t","token_type":"\#(Self.mark)"}"#
    expectHidden(try await refusal("200 OK", body, verify: .opaque), as: "token_type")
  }

  @Test("A token's algorithm")
  func algorithm() async throws {
    let token = jwt(#"{"alg":"\#(Self.mark)","kid":"k"}"#)
    expectHidden(try await refusal("200 OK", #"{"access_token":"\#(token.value)"}"#), as: "token_algorithm")
    let verifier = try JWTVerifier(
      issuer: "https://i/", audience: "a",
      keys: .document(
        Array(#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"\#(String(repeating: "A", count: 43))"}]}"#.utf8)))
    let failure = await #expect(throws: JWTVerifier.Failure.self) {
      try await verifier.verify(Array(token.value.utf8), deadline: inSeconds(10))
    }
    #expect(!"\(String(describing: failure))".contains(Self.mark))
  }

  @Test("The issuer that a tenant's metadata names")
  func metadata() async throws {
    let body = #"{"issuer":"https://\#(Self.mark)/","token_endpoint":"https://x/"}"#
    expectHidden(try await refusal("200 OK", body, issuer: "other"), as: "metadata_issuer")
  }

  @Test("What a refusal says", arguments: ["400 Bad", "401 No", "403 No", "404 No", "429 Many", "500 Fault"])
  func refusals(_ status: String) async throws {
    let body = #"{"error":"\#(Self.mark)","error_description":"\#(Self.mark)"}"#
    let error = try await refusal(status, body, verify: .opaque)
    expectHidden(error, as: "upstream_error")
    expectHidden(error, as: "upstream_error_description")
  }

  @Test(
    "What libcurl says of a connection, and with it the other end's certificate",
    arguments: [HTTPClient.Failure.Kind.connect, .tls, .exchange, .lost, .identity])
  func connection(_ kind: HTTPClient.Failure.Kind) {
    expectHidden(TokenError(HTTPClient.Failure(kind: kind, message: Self.mark)), as: "connection_error")
  }

  @Test("Why the connection for the keys has failed")
  func keys() async throws {
    let error = try await withPeer { connection in
      while let request = connection.request() {
        // No length, and the mark where libcurl quotes it.
        if request.hasPrefix("GET") { return connection.send("HTTP/1.1 200 OK\r\n\(Self.mark)\r\n\r\n") }
        connection.answer("200 OK", body: #"{"access_token":"\#(jwt(#"{"alg":"ES256"}"#).value)"}"#)
      }
    } _: { peer in
      let endpoints = try Endpoints(tokenURL: peer.url + "/t", jwksURL: peer.url + "/k", issuer: "https://i/")
      let client = try OAuthClient(
        name: "test", clientID: "c", authentication: .secretPost(ClientSecrets([Secret("s".utf8)])),
        location: .fixed(endpoints))
      return await #expect(throws: TokenError.self) {
        try await TokenSource(client: client, http: try HTTPClient()).mint(
          Grant(audience: "a"), deadline: inSeconds(0.5))
      }
    }
    #expect(error?.cause == .upstreamUnavailable)
    #expect(error?.evidence?.fields.contains { $0.name == "connection_error" } == true, "\(error?.message ?? "")")
  }
}
