import Basics
import HTTPClient
import IO
import OAuth
import Telemetry

/// Reads one client of the configuration.
struct ClientReader {
  enum Provider: String, CaseIterable { case auth0, oauth2 }

  enum AuthMethod: String, CaseIterable {
    case post = "client_secret_post"
    case basic = "client_secret_basic"
    case privateKeyJWT = "private_key_jwt"
    case tlsClient = "tls_client_auth"
  }

  let section: Section
  let name: String
  /// Then the environment is asked too.
  let isDefault: Bool
  let embedded: EmbeddedTenant?

  private func variable(_ name: String) -> String? { isDefault ? "AUTH0_\(name)" : nil }

  /// The client; nil, with what is wrong said, if it is not wanted or not complete.
  func read(isWanted: Bool) -> ClientSettings? {
    let isPassThrough = section.value("passthrough", .flag, default: false)
    if let embedded {
      section.ignore()
      return embedded.client(name, isPassThrough: isPassThrough)
    }
    guard isWanted, let provider else { return nil }
    let domain =
      provider == .auth0 ? require("domain", "DOMAIN", .tenant, "your tenant's domain, such as acme.eu.auth0.com") : nil
    let location = provider == .oauth2 ? location() : nil
    let id = require(
      "clientId", "CLIENT_ID", .text("a client id", limit: 2048), "the client id of a machine-to-machine application")
    let credentials = credentials()
    let dialect = provider == .oauth2 ? dialect() : .standard
    let checksAudience = provider == .oauth2 ? section.value("checkAudience", .flag, default: true) : true
    let lifetime = section.value("lifetime", .duration(.seconds(1)...(.seconds(30 * 86_400))))
    let authorities = section.value("caFile", environment: variable("CA_FILE"), .certificates)
    guard let id, let credentials, let dialect else { return nil }
    if isPassThrough, case .tlsClient = credentials.authentication {
      section.fail("passthrough", "does not go with certificateFile: whoever brings a secret has no such certificate")
    }
    if case .secretBasic(_, .raw) = credentials.authentication, id.contains(":") {
      section.fail("basicEncoding", "raw does not go with a colon in clientId: the server would cut it there")
    }
    let client = attempt { () throws(InvalidSetting) -> OAuthClient? in
      if let domain {
        return .auth0(
          name: name, baseURL: domain, clientID: id, authentication: credentials.authentication,
          tokenLifetime: lifetime)
      }
      return try location.map { location throws(InvalidSetting) in
        try OAuthClient(
          name: name, clientID: id, authentication: credentials.authentication, location: location,
          dialect: dialect, checksAudience: checksAudience, tokenLifetime: lifetime)
      }
    }
    return client.flatMap(\.self).map {
      ClientSettings(
        client: $0, trust: authorities.map { .file($0) } ?? .system, secretFile: credentials.file,
        isPassThrough: isPassThrough,
        files: credentials.files.merging(Self.digests(authorities.map { [$0] } ?? [])) { $1 },
        certificates: credentials.certificates)
    }
  }

  /// nil, with that said, for a word that is none.
  private var provider: Provider? {
    if isDefault { return .auth0 }
    if !section.has("provider") { return section.value("provider", .word, default: Provider.auth0) }
    let provider: Provider? = section.value("provider", .word)
    // What else the client should have depends on it.
    if provider == nil { section.ignore() }
    return provider
  }

  private func require<Value>(_ key: String, _ name: String, _ format: Format<Value>, _ expectation: String) -> Value? {
    let value = section.value(key, environment: variable(name), format)
    if value == nil, !section.has(key, environment: variable(name)) {
      section.fail(key, environment: variable(name), "required: \(expectation)")
    }
    return value
  }

  /// What `body` makes; nil, with its reason said, if a setting cannot be.
  private func attempt<Value>(_ body: () throws(InvalidSetting) -> Value) -> Value? {
    do throws(InvalidSetting) {
      return try body()
    } catch {
      section.fail(error.setting, environment: variable("PRIVATE_KEY_FILE"), error.reason)
      return nil
    }
  }

  // MARK: Another server than Auth0

  private func location() -> OAuthClient.Location? {
    let tokenURL = section.value("tokenURL", .serverURL)
    let jwksURL = section.value("jwksURL", .url)
    let issuer = section.value("issuer", .serverURL)
    guard let tokenURL else {
      if let issuer { return .discovered(issuer: issuer) }
      if !section.has("tokenURL"), !section.has("issuer") {
        section.fail("issuer", "required: the server's issuer URL, or its tokenURL")
      }
      return nil
    }
    if (jwksURL == nil) != (issuer == nil) {
      section.fail("jwksURL", "tokens are checked with jwksURL and issuer together; expected both or neither")
      return nil
    }
    return attempt { () throws(InvalidSetting) in
      .fixed(try Endpoints(tokenURL: tokenURL, jwksURL: jwksURL, issuer: issuer))
    }
  }

  private func dialect() -> Dialect? {
    let parameter = section.value("audienceParameter", .word, default: Dialect.AudienceParameter.audience)
    let scope = section.value("scope", .text("a scope, in which {audience} is replaced"))
    let extra = section.pairs("extraParameters", .hidden("a value"))
    return attempt { () throws(InvalidSetting) in
      try Dialect(audienceParameter: parameter, scopeTemplate: scope, extraParameters: extra)
    }
  }

  // MARK: Credentials

  private struct Credentials {
    let authentication: ClientAuthentication
    var file: String?
    /// What the files that are read only once held.
    var files: [String: SHA256Digest] = [:]
    var certificates: [OwnCertificate] = []
  }

  private static let ways = [
    "clientSecret", "clientSecretFile", "privateKeyFile", "clientAssertionFile", "certificateFile",
  ]
  private static let names = ["CLIENT_SECRET", "CLIENT_SECRET_FILE", "PRIVATE_KEY_FILE", nil, nil]

  /// One way to prove itself; what the environment names, it names alone.
  private func credentials() -> Credentials? {
    let ways = zip(Self.ways, Self.names).map { (key: $0, variable: $1.flatMap { variable($0) }) }
    let isInEnvironment = ways.contains { section.isFromEnvironment($0.variable) }
    let given = ways.filter { isInEnvironment ? section.isFromEnvironment($0.variable) : section.has($0.key) }
    var variables = Dictionary(uniqueKeysWithValues: ways.compactMap { way in way.variable.map { (way.key, $0) } })
    variables["keyId"] = variable("KEY_ID")
    section.know(
      Self.ways + [
        "basicEncoding", "certificateKeyFile", "clientAssertionType", "keyAlgorithm", "keyId", "assertionAudience",
      ],
      variables: variables)
    let method: AuthMethod? = section.value("authMethod", .word)
    guard let way = given.first else {
      section.fail(
        "clientSecret", environment: variable("CLIENT_SECRET"),
        "required: the client secret itself here, or its file in clientSecretFile; or privateKeyFile, "
          + "clientAssertionFile or certificateFile")
      return nil
    }
    if given.count > 1 {
      section.fail(way.key, environment: way.variable, "set together with \(given[1].key); expected one of them")
      return nil
    }
    return credentials(way.key, way.variable, method)
  }

  private func credentials(_ key: String, _ variable: String?, _ method: AuthMethod?) -> Credentials? {
    func agrees(_ methods: AuthMethod...) -> Bool {
      if method == nil || methods.contains(where: { $0 == method }) { return true }
      section.fail("authMethod", "\(method?.rawValue ?? "") does not go with \(key)")
      return false
    }
    let encoding: BasicEncoding? = section.value("basicEncoding", .word)
    if encoding != nil, method != .basic { section.fail("basicEncoding", "only client_secret_basic has it") }
    func secret(_ secrets: [Secret], file: String? = nil) -> Credentials {
      let secrets = ClientSecrets(secrets)
      return Credentials(
        authentication: method == .basic ? .secretBasic(secrets, encoding ?? .form) : .secretPost(secrets), file: file)
    }
    switch key {
    case "clientSecret":
      let value = section.value(key, environment: variable, .secret("the client secret"))
      return agrees(.post, .basic) ? value.map { secret([$0]) } : nil
    case "clientSecretFile":
      let value = section.value(key, environment: variable, .secretFile)
      return agrees(.post, .basic) ? value.map { secret($0.secrets, file: $0.path) } : nil
    case "privateKeyFile": return agrees(.privateKeyJWT) ? assertionKey(variable) : nil
    case "clientAssertionFile":
      let path = section.value(key, .path)
      let kind = section.value("clientAssertionType", .word, default: AssertionFile.Kind.bearer)
      return agrees(.privateKeyJWT) ? path.map { Self.assertions($0, kind) } : nil
    default:
      let certificate = section.value(key, .certificates)
      let keyFile = section.value("certificateKeyFile", .privateKeyFile)
      if keyFile == nil, !section.has("certificateKeyFile") {
        section.fail("certificateKeyFile", "required: the file of the certificate's private key")
      }
      guard agrees(.tlsClient), let certificate, let keyFile else { return nil }
      let identity = HTTPClient.Identity(certificateFile: certificate, keyFile: keyFile)
      return Credentials(
        authentication: .tlsClient(identity), files: Self.digests([certificate, keyFile]),
        certificates: OwnCertificate.chain(.tlsClient, client: name, in: certificate))
    }
  }

  /// Not read now: it is replaced all the time, and whatever makes it may start after the broker.
  private static func assertions(_ path: String, _ kind: AssertionFile.Kind) -> Credentials {
    let file = AssertionFile(path: path, kind: kind) { () throws(AssertionFile.Unreadable) in
      do throws(FileError) {
        return try Secret(file: path)
      } catch {
        throw AssertionFile.Unreadable(reason: error.reason)
      }
    }
    return Credentials(authentication: .assertionFile(file))
  }

  private func assertionKey(_ variable: String?) -> Credentials? {
    let algorithm: AssertionKey.Algorithm? = section.value("keyAlgorithm", .keyAlgorithm)
    let keyID = section.value("keyId", environment: self.variable("KEY_ID"), .text("a key id"))
    let audience = section.value("assertionAudience", .text("an audience"))
    let file = section.value("privateKeyFile", environment: variable, .secretContents)
    let pem = file?.contents
    let key = pem.flatMap { pem in
      attempt { () throws(InvalidSetting) in try AssertionKey(pem: pem, algorithm: algorithm, keyID: keyID) }
    }
    return key.map { key in
      let digest = pem.map { pem in pem.withBytes { SHA256Digest(of: $0) } }
      return Credentials(
        authentication: .privateKeyJWT(key, audience: audience),
        files: digest.map { [ClientSettings.privateKey: $0] } ?? [:],
        certificates: certificates(besideKeyIn: file))
    }
  }

  /// Those of a private key's file, which is not read once more where there are none.
  private func certificates(besideKeyIn file: SecretContents?) -> [OwnCertificate] {
    guard let file, file.contents.contains("-----BEGIN CERTIFICATE-----") else { return [] }
    return OwnCertificate.chain(.privateKeyJWT, client: name, in: file.path)
  }

  private static func digests(_ paths: [String]) -> [String: SHA256Digest] {
    paths.reduce(into: [:]) { $0[$1] = File.digest($1) }
  }
}

extension Format where Value == AssertionKey.Algorithm {
  fileprivate static var keyAlgorithm: Format {
    Format("one of \(Value.allCases.map(\.rawValue).joined(separator: ", "))", show: \.rawValue) { Value(rawValue: $0) }
  }
}

/// The contents of a file that nobody else may see.
struct SecretContents {
  let path: String
  let contents: Secret
}

extension Secret {
  /// Looked for in place, so that there is no copy.
  fileprivate func contains(_ text: String) -> Bool {
    let wanted = Array(text.utf8)
    return withBytes { bytes in
      bytes.count >= wanted.count
        && (0...bytes.count - wanted.count).contains { start in
          wanted.indices.allSatisfy { bytes[start + $0] == wanted[$0] }
        }
    }
  }
}

extension Format where Value == SecretContents {
  static var secretContents: Format {
    file(isSecret: true) { path throws(FileError) in SecretContents(path: path, contents: try Secret(file: path)) }
  }
}
