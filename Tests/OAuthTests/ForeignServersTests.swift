import Basics
import Foundation
import HTTPClient
import OAuth
import IO
import TestSupport
import Testing

/// Against an authorization server that nobody here wrote: Authlib's.
@Suite(.serialized, .timeLimit(.minutes(5))) struct ForeignServersTests {
  /// Authlib's server, and the keys and certificates that OpenSSL has made for it and for its clients.
  final class AuthlibServer: Sendable {
    let issuer: String
    let mutual: String
    private let directory: URL
    private let child: ChildProcess

    /// One for all tests here, because keys take their time; it ends with the test program.
    static let shared = Task { try await AuthlibServer() }

    private static let preparations = """
      openssl genrsa -out rsa.key 2048 && openssl rsa -in rsa.key -pubout -out rsa.pub
      openssl ecparam -name prime256v1 -genkey -out ec.key && openssl ec -in ec.key -pubout -out ec.pub
      openssl genrsa -out other-rsa.key 2048; openssl ecparam -name prime256v1 -genkey -out other-ec.key
      authority ca; sign server ca; sign tls ca; sign other ca; authority rogue tls
      """

    init() async throws {
      directory = FileManager.default.temporaryDirectory.appendingPathComponent("authlib-\(UUID())")
      try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
      try await OpenSSL.run(Self.preparations, in: directory.path)
      let script = Repository.path("Tests/OAuthTests/Servers/authlib_server.py")
      child = try ChildProcess("/usr/bin/python3", [script, directory.path])
      let line = try await child.wait(for: "line that says where it is", timeout: .seconds(60)) { child in
        child.output.contains("\n") ? child.output : nil
      }
      let addresses = try JSONDecoder().decode([String: String].self, from: Data(line.utf8))
      issuer = try #require(addresses["issuer"])
      mutual = try #require(addresses["mutual"])
    }

    func path(_ name: String) -> String { directory.appendingPathComponent(name).path }
    func key(_ name: String, _ algorithm: AssertionKey.Algorithm? = nil) throws -> AssertionKey {
      try AssertionKey(pem: Secret(file: path(name)), algorithm: algorithm, keyID: "any")
    }
    func identity(_ name: String) -> HTTPClient.Identity {
      HTTPClient.Identity(certificateFile: path("\(name).crt"), keyFile: path("\(name).key"))
    }
  }

  private let server: AuthlibServer

  init() async throws {
    ThisProcess.ignoreFailingWrites()
    server = try await AuthlibServer.shared.value
  }

  private func source(
    _ clientID: String, _ authentication: ClientAuthentication, _ dialect: Dialect = .standard,
    fixed: Endpoints? = nil, checksAudience: Bool = true
  ) throws -> TokenSource {
    let client = try OAuthClient(
      name: "test", clientID: clientID, authentication: authentication,
      location: fixed.map { .fixed($0) } ?? .discovered(issuer: server.issuer), dialect: dialect,
      checksAudience: checksAudience)
    return try TokenSource(
      client: client,
      connection: ServerConnection(
        trust: .file(server.path("ca.crt")), proxy: nil, userAgent: "token-broker", connectTimeout: .seconds(5),
        timeout: .seconds(10)))
  }

  private func mint(
    _ source: TokenSource, audience: String = "https://api.example.com/", scope: String? = nil,
    verify: Verification = .jwt, as brought: PassThroughCredentials? = nil
  ) async -> Result<MintedToken, TokenError> {
    do throws(TokenError) {
      let grant = Grant(audience: audience, scope: scope)
      return .success(
        try await source.mint(grant, verify: verify, as: brought, deadline: .now.advanced(by: .seconds(30))))
    } catch {
      return .failure(error)
    }
  }

  private func code(_ result: Result<MintedToken, TokenError>) -> TokenError.Cause? {
    if case .failure(let error) = result { error.cause } else { nil }
  }

  private func secrets(_ texts: String...) -> ClientSecrets { ClientSecrets(texts.map { Secret($0.utf8) }) }
  private var odd: String { "p+&%= \u{E9}:~/\"" }

  @Test("Each way to authenticate brings tokens that the server's keys verify")
  func methods() async throws {
    let ways: [(String, ClientAuthentication)] = [
      ("poster", .secretPost(secrets(odd))), ("basic", .secretBasic(secrets("s3cr3t-._~"))),
      ("rsa", .privateKeyJWT(try server.key("rsa.key"))), ("rsa", .privateKeyJWT(try server.key("rsa.key", .ps256))),
      ("ec", .privateKeyJWT(try server.key("ec.key"))), ("tls", .tlsClient(server.identity("tls"))),
    ]
    for (clientID, authentication) in ways {
      let source = try source(clientID, authentication)
      for _ in 0..<3 {
        let token = try await mint(source, scope: "read").get()
        #expect(token.keyID == "authlib-1" && token.scope == "read", "\(clientID)")
        let life = token.mintedAt.duration(to: token.expiresAt)
        #expect(life > .seconds(3590) && life <= .seconds(3600))
      }
    }
  }

  @Test("Wrong credentials of any kind are brokerMisconfigured")
  func wrongCredentials() async throws {
    let ways: [(String, ClientAuthentication)] = [
      ("poster", .secretPost(secrets("wrong"))), ("poster", .secretBasic(secrets(odd))),
      ("basic", .secretBasic(secrets("wrong"))), ("basic", .secretPost(secrets("s3cr3t-._~"))),
      ("nobody", .secretPost(secrets("x"))), ("rsa", .privateKeyJWT(try server.key("other-rsa.key"))),
      ("ec", .privateKeyJWT(try server.key("other-ec.key"))),
      ("rsa", .privateKeyJWT(try server.key("rsa.key"), audience: "https://elsewhere/")),
      ("nobody", .privateKeyJWT(try server.key("rsa.key"))), ("tls", .tlsClient(server.identity("other"))),
      ("tls", .tlsClient(HTTPClient.Identity(certificateFile: "/nonexistent", keyFile: "/nonexistent"))),
    ]
    for (clientID, authentication) in ways {
      let result = await mint(try source(clientID, authentication))
      #expect(code(result) == .brokerMisconfigured, "\(clientID): \(result)")
    }
  }

  @Test("A client's certificate of another authority brings no token")
  func rogueCertificate() async throws {
    let result = await mint(try source("tls", .tlsClient(server.identity("rogue"))))
    #expect([.upstreamUnavailable, .brokerMisconfigured].contains(code(result)), "\(result)")
  }

  @Test("Of two secrets the old one is tried when the new one is not accepted yet")
  func rotation() async throws {
    _ = try await mint(try source("basic", .secretBasic(secrets("next", "s3cr3t-._~")))).get()
    _ = try await mint(try source("poster", .secretPost(secrets("next", odd)))).get()
  }

  private func basic(_ clientID: String, _ secret: String) -> PassThroughCredentials {
    let field = "Basic " + Data("\(clientID):\(secret)".utf8).base64EncodedString()
    return PassThroughCredentials(
      clientID: clientID, secret: Secret(secret.utf8), authorization: Secret(field.utf8))
  }

  @Test("Credentials that a caller brings are tried instead of the broker's, and their failure is the caller's")
  func brought() async throws {
    let source = try source("poster", .secretPost(secrets("wrong")))
    for (credentials, expected) in [
      (basic("basic", "s3cr3t-._~"), nil),
      (PassThroughCredentials(clientID: "poster", secret: Secret(odd.utf8)), nil),
      (basic("basic", "wrong"), .invalidCaller),
      (PassThroughCredentials(clientID: "poster", secret: Secret("wrong".utf8)), .invalidCaller),
    ] as [(PassThroughCredentials, TokenError.Cause?)] {
      #expect(code(await mint(source, as: credentials)) == expected)
    }
    let certified = try self.source("tls", .tlsClient(server.identity("tls")))
    let token = await mint(certified, as: PassThroughCredentials(clientID: "tls", secret: Secret("x".utf8)))
    #expect(code(token) != nil, "the client's certificate does not revalidate for a caller")
  }

  @Test("Each refusal of the server has an error of its own")
  func refusals() async throws {
    let basic = ClientAuthentication.secretBasic(secrets("s3cr3t-._~"))
    #expect(code(await mint(try source("basic", basic), audience: "https://unknown/")) == .unknownAudience)
    #expect(code(await mint(try source("basic", basic), scope: "admin")) == .audienceNotGranted)
    let ungranted = try source("ungranted", .secretBasic(secrets("s3cr3t")))
    #expect(code(await mint(ungranted)) == .audienceNotGranted)
    let nowhere = try Endpoints(tokenURL: server.issuer + "/nowhere")
    #expect(code(await mint(try source("basic", basic, fixed: nowhere), verify: .opaque)) == .upstreamGlitch)
  }

  private func basic() -> ClientAuthentication { .secretBasic(secrets("s3cr3t-._~")) }

  @Test("The audience goes by its own parameter, and the scope by a template")
  func parameters() async throws {
    let resource = try Dialect(audienceParameter: .resource, scopeTemplate: "read write")
    #expect(try await mint(try source("basic", basic(), resource)).get().scope == "read write")
    let none = try Dialect(audienceParameter: .none)
    #expect(code(await mint(try source("basic", basic(), none))) == .unknownAudience)
  }

  @Test("A token without aud is taken if told so")
  func withoutAudience() async throws {
    let bare = try Dialect(audienceParameter: .resource, extraParameters: [("token_format", "without_aud")])
    #expect(code(await mint(try source("basic", basic(), bare))) == .tokenValidationFailed)
    #expect(try await mint(try source("basic", basic(), bare, checksAudience: false)).get().keyID == "authlib-1")
  }

  @Test(
    "A token signed with Ed25519 by another library passes as the tenant's, and as a caller's",
    arguments: ["EdDSA", "Ed25519"])
  func edwards(_ algorithm: String) async throws {
    let dialect = try Dialect(extraParameters: [("token_format", algorithm)])
    let token = try await mint(try source("basic", basic(), dialect)).get()
    #expect(token.keyID == "authlib-2")
    let verifier = try JWTVerifier(
      issuer: server.issuer, audience: "https://api.example.com/",
      keys: .remote(url: server.issuer + "/keys", http: try HTTPClient()))
    let verified = try await verifier.verify(
      Array(token.accessToken.value.utf8), deadline: .now.advanced(by: .seconds(10)))
    #expect(verified.subject == "basic")
  }

  @Test("An opaque token is taken without an issuer, and only where it is wanted")
  func opaque() async throws {
    let basic = ClientAuthentication.secretBasic(secrets("s3cr3t-._~"))
    let dialect = try Dialect(extraParameters: [("token_format", "opaque")])
    let fixed = try source("basic", basic, dialect, fixed: Endpoints(tokenURL: server.issuer + "/token"))
    let token = try await mint(fixed, verify: .opaque).get()
    #expect(token.keyID == nil && token.mintedAt.duration(to: token.expiresAt) == .seconds(3600))
    #expect(code(await mint(fixed)) == .brokerMisconfigured)
    #expect(code(await mint(try source("basic", basic, dialect))) == .tokenValidationFailed)
  }

  @Test("A token of this server proves a caller for its audience, and for no other")
  func callers() async throws {
    let token = try await mint(try source("basic", .secretBasic(secrets("s3cr3t-._~")))).get()
    let keys = JWTVerifier.Keys.remote(url: server.issuer + "/keys", http: try HTTPClient())
    let deadline = Instant.now.advanced(by: .seconds(10))
    let verifier = try JWTVerifier(issuer: server.issuer, audience: "https://api.example.com/", keys: keys)
    #expect(try await verifier.verify(Array(token.accessToken.value.utf8), deadline: deadline).subject == "basic")
    let other = try JWTVerifier(issuer: server.issuer, audience: "https://ledger.example.com", keys: keys)
    await #expect(throws: JWTVerifier.Failure.refused(reason: "it is not for the audience")) {
      try await other.verify(Array(token.accessToken.value.utf8), deadline: deadline)
    }
  }
}
