import Basics
import Crypto
import Foundation
import HTTPClient
import IO
import Testing
import TestSupport

@testable import OAuth

/// What a token endpoint receives, by each way to authenticate, from the real HTTP client.
@Suite(.timeLimit(.minutes(1))) struct TokenEndpointRequestTests {
  static let oddTexts = [
    "id", "id:with:colons", "p+&%= é", "\u{0}\u{1}\n", "100%", "~-._", "a/b?c#d", "\"\\'", "日本",
    String(repeating: "x", count: 300),
  ]

  init() { ThisProcess.ignoreFailingWrites() }

  /// The head and the body of each request that minting an opaque token leads to, where answers are played by `play`.
  private func requests(
    _ authentication: ClientAuthentication, clientID: String = "client", as credentials: PassThroughCredentials? = nil,
    answers: [String] = ["200 OK"]
  ) async throws -> (requests: [(head: String, body: String)], error: TokenError?) {
    try await withPeer { connection in
      for answer in answers {
        guard connection.request() != nil else { return }
        let isGood = answer.hasPrefix("200")
        connection.answer(
          answer,
          body: isGood ? #"{"access_token":"t","token_type":"Bearer","expires_in":60}"# : #"{"error":"invalid_client"}"#
        )
      }
      connection.waitForEnd()
    } _: { peer in
      let client = try OAuthClient(
        name: "test", clientID: clientID, authentication: authentication,
        location: .fixed(Endpoints(tokenURL: peer.url + "/token")))
      let source = try TokenSource(client: client, http: HTTPClient())
      var failure: TokenError?
      do throws(TokenError) {
        _ = try await source.mint(
          Grant(audience: "aud"), verify: .opaque, as: credentials, deadline: inSeconds(10))
      } catch {
        failure = error
      }
      let parts = peer.requests.map { $0.components(separatedBy: "\r\n\r\n") }
      return (parts.map { ($0[0], $0[1]) }, failure)
    }
  }

  private func secrets(_ texts: String...) -> ClientSecrets { ClientSecrets(texts.map { Secret($0.utf8) }) }

  /// `Authorization` fields' values.
  private func authorizations(_ head: String) -> [String] {
    head.split(separator: "\r\n").filter { $0.lowercased().hasPrefix("authorization:") }
      .map { $0.drop { $0 != " " }.dropFirst().description }
  }

  /// Parameters as another reader of forms has them.
  private func parameters(_ body: String) throws -> [String: String] {
    var parameters: [String: String] = [:]
    for pair in body.components(separatedBy: "&") {
      let parts = pair.components(separatedBy: "=")
      #expect(parts.count == 2)
      let name = try #require(parts[0].removingPercentEncoding)
      #expect(parameters.updateValue(try #require(parts[1].removingPercentEncoding), forKey: name) == nil)
    }
    return parameters
  }

  @Test("By client_secret_post, id and secret are in the body, whatever is in them", arguments: oddTexts)
  func post(_ text: String) async throws {
    let sent = try await requests(.secretPost(secrets(text)), clientID: text)
    let request = try #require(sent.requests.first)
    #expect(
      try parameters(request.body) == [
        "grant_type": "client_credentials", "audience": "aud", "client_id": text, "client_secret": text,
      ])
    #expect(authorizations(request.head).isEmpty && sent.error == nil)
    #expect(request.head.contains("Content-Type: application/x-www-form-urlencoded\r\n"))
  }

  @Test("By client_secret_basic, both are in the header alone, form-encoded and then in base64", arguments: oddTexts)
  func basic(_ text: String) async throws {
    let sent = try await requests(.secretBasic(secrets(text)), clientID: text)
    let request = try #require(sent.requests.first)
    #expect(try parameters(request.body) == ["grant_type": "client_credentials", "audience": "aud"])
    let value = try #require(authorizations(request.head).first)
    #expect(value.hasPrefix("Basic ") && authorizations(request.head).count == 1)
    let pair = String(decoding: try #require(Data(base64Encoded: String(value.dropFirst(6)))), as: UTF8.self)
    #expect(pair.components(separatedBy: ":").map { $0.removingPercentEncoding } == [text, text])
  }

  @Test("By client_secret_basic as they are, both are in the header in base64 alone", arguments: oddTexts)
  func rawBasic(_ text: String) async throws {
    let sent = try await requests(.secretBasic(secrets(text), .raw), clientID: "client")
    let values = authorizations(sent.requests.first?.head ?? "")
    #expect(values == ["Basic " + Data("client:\(text)".utf8).base64EncodedString()])
  }

  @Test("RFC 6749's example is encoded as it says (§2.3.1)")
  func knownBasic() {
    let example = BasicCredentials.value(clientID: "s6BhdRkqt3", secret: Secret("7Fjfp0ZBr1KtDRbnfVdmIw".utf8))
    #expect(example.text == "Basic czZCaGRSa3F0Mzo3RmpmcDBaQnIxS3REUmJuZlZkbUl3")
  }

  @Test("A secret of any length is encoded as another encoder of base64 has it")
  func basicLengths() {
    for count in 0..<100 {
      let secret = String(repeating: "s", count: count)
      let value = BasicCredentials.value(clientID: "i", secret: Secret(secret.utf8))
      #expect(value.text == "Basic " + Data("i:\(secret)".utf8).base64EncodedString())
    }
  }

  @Test("By tls_client_auth, the body holds the id alone")
  func certificate() async throws {
    let identity = HTTPClient.Identity(certificateFile: "/nonexistent", keyFile: "/nonexistent")
    let request = try await TokenEndpointRequest(tokenURL: "https://a/", clientID: "client", parameters: [])
      .authenticated(by: .certificate(identity), timeout: .seconds(1))
    #expect(request.body?.text == "client_id=client" && request.identity == identity && request.authorization == nil)
  }

  @Test("By private_key_jwt, each try has an assertion of its own, for the token endpoint or whom it is told")
  func assertion() async throws {
    let key = try AssertionKey(pem: Secret(Self.key.utf8), keyID: "k")
    var ids: Set<String> = []
    for audience in [nil, "https://issuer/", nil] {
      let request = try #require(try await requests(.privateKeyJWT(key, audience: audience)).requests.first)
      var sent = try parameters(request.body)
      let assertion = sent.removeValue(forKey: "client_assertion")
      let token = try #require(assertion)
      #expect(
        sent == [
          "grant_type": "client_credentials", "audience": "aud", "client_id": "client",
          "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        ])
      let payload = try #require(Base64URL.decode(token.split(separator: ".")[1]))
      let claims = try #require(try JSONSerialization.jsonObject(with: Data(payload)) as? [String: Any])
      let aud = try #require(claims["aud"] as? String)
      #expect(audience.map { aud == $0 } ?? (aud.hasPrefix("http://127.0.0.1:") && aud.hasSuffix("/token")))
      ids.insert(try #require(claims["jti"] as? String))
    }
    #expect(ids.count == 3)
  }

  @Test("An assertion for Auth0 has its issuer as the audience, unless it is told another")
  func auth0() throws {
    let key = try AssertionKey(pem: Secret(Self.key.utf8))
    for (own, expected) in [(nil, "https://acme.auth0.com/"), ("https://custom/", "https://custom/")] {
      let client = OAuthClient.auth0(
        baseURL: "https://acme.auth0.com", clientID: "c", authentication: .privateKeyJWT(key, audience: own))
      guard case .privateKeyJWT(_, let audience) = client.authentication else {
        Issue.record("another way to authenticate")
        continue
      }
      #expect(audience == expected)
    }
  }

  @Test(
    "A refused secret makes the older one be tried, in the header too, and where the refusal is a 400",
    arguments: ["401 Unauthorized", "400 Bad Request"], [true, false])
  func rotation(_ refusal: String, _ isBasic: Bool) async throws {
    let pair = secrets("new", "old")
    let sent = try await requests(isBasic ? .secretBasic(pair) : .secretPost(pair), answers: [refusal, "200 OK"])
    #expect(sent.error == nil && sent.requests.count == 2)
    let expected = ["new", "old"].map { Data("client:\($0)".utf8).base64EncodedString() }
    for (request, (secret, basic)) in zip(sent.requests, zip(["new", "old"], expected)) {
      #expect(isBasic ? request.head.contains(basic) : request.body.hasSuffix("client_secret=\(secret)"))
    }
  }

  @Test("A refused assertion is not tried again")
  func refusedAssertion() async throws {
    let key = try AssertionKey(pem: Secret(Self.key.utf8))
    let sent = try await requests(.privateKeyJWT(key), answers: ["401 Unauthorized", "200 OK"])
    #expect(sent.requests.count == 1 && sent.error?.cause == .brokerMisconfigured)
  }

  @Test(
    "Credentials for one request are used instead of the client's, once",
    arguments: [nil, "basic b3RoZXI6dGhlaXJz"],
    [(["200 OK"], nil), (["401 Unauthorized", "200 OK"], .invalidCaller), (["400 No", "200 OK"], .invalidCaller)]
      as [([String], TokenError.Cause?)])
  func brought(_ authorization: String?, _ play: ([String], TokenError.Cause?)) async throws {
    let brought = PassThroughCredentials(
      clientID: "other", secret: Secret("theirs".utf8), authorization: authorization.map { Secret($0.utf8) })
    for authentication in [ClientAuthentication.secretPost(secrets("a", "b")), .secretBasic(secrets("a", "b"))] {
      let sent = try await requests(authentication, as: brought, answers: play.0)
      #expect(sent.requests.count == 1 && sent.error?.cause == play.1)
      let request = try #require(sent.requests.first)
      if let authorization {
        #expect(authorizations(request.head) == [authorization])
        #expect(!request.body.contains("client_id"))
      } else {
        #expect(request.body.hasSuffix("client_id=other&client_secret=theirs") && authorizations(request.head).isEmpty)
      }
    }
  }

  @Test("What is brought beside credentials is sent on in place of what the client itself would send")
  func broughtParameters() throws {
    let dialect = try Dialect(extraParameters: [("tenant_hint", "own"), ("realm", "r")])
    let body = FormEncoding.body(dialect.parameters(Grant(audience: "a"), and: [("tenant_hint", Secret("x&y".utf8))]))
    #expect(body.text == "grant_type=client_credentials&audience=a&realm=r&tenant_hint=x%26y")
  }

  @Test("Without an issuer and its key set a token that is to be checked is not asked for")
  func unverifiable() async throws {
    for (jwksURL, issuer) in [(nil, nil), ("http://127.0.0.1:1/", nil), (nil, "https://a/")] as [(String?, String?)] {
      let client = try OAuthClient(
        name: "test", clientID: "c", authentication: .secretPost(secrets("s")),
        location: .fixed(Endpoints(tokenURL: "http://127.0.0.1:1/", jwksURL: jwksURL, issuer: issuer)))
      let error = await #expect(throws: TokenError.self) {
        try await TokenSource(client: client, http: HTTPClient()).mint(
          Grant(audience: "a"), deadline: inSeconds(10))
      }
      #expect(error?.cause == .brokerMisconfigured && error?.message.contains("opaque") == true)
    }
  }

  private static let key = P256.Signing.PrivateKey().pemRepresentation
}
