import OAuth

/// A client of an authorization server, and what it takes to ask it.
struct ClientSettings: Sendable {
  let client: OAuthClient
  /// Whose certificates are believed.
  let trust: HTTPClient.Trust
  /// Where its secrets are read from again when they change.
  var secretFile: String?

  /// Clients with the same identity get the same tokens, whatever else is told of them.
  var identity: [String] { client.identity }
}

extension Configuration {
  /// `auth0` is the client called default; `clients` has others. Returns the names of all, also of those that are wrong.
  mutating func readClients(_ root: Section, _ embedded: EmbeddedTenant?) -> [String] {
    let hasOthers = root.has("clients")
    var names: [String] = []
    root.section("auth0") { section in
      let isWanted =
        !hasOthers || section.mark != nil
        || ["DOMAIN", "CLIENT_ID"].contains { section.isFromEnvironment("AUTH0_\($0)") }
      if isWanted { names.append("default") }
      clients["default"] = ClientReader(section, name: "default", isDefault: true, embedded: embedded)
        .read(isWanted: isWanted)
    }
    root.sections("clients") { name, section in
      if names.contains(name) { return section.fail("domain", "the client called default is the one under auth0") }
      names.append(name)
      clients[name] = ClientReader(section, name: name, isDefault: false, embedded: embedded).read(isWanted: true)
    }
    return names
  }
}

/// Reads one client.
private struct ClientReader {
  let section: Section
  let name: String
  /// Then the environment is asked too.
  let isDefault: Bool
  let embedded: Configuration.EmbeddedTenant?

  init(_ section: Section, name: String, isDefault: Bool, embedded: Configuration.EmbeddedTenant?) {
    self.section = section
    self.name = name
    self.isDefault = isDefault
    self.embedded = embedded
  }

  private func variable(_ name: String) -> String? { isDefault ? "AUTH0_\(name)" : nil }

  private func require<Value>(
    _ key: String, _ name: String, _ format: Format<Value>, _ expectation: String
  ) -> Value? {
    let value = section.value(key, environment: variable(name), format)
    if value == nil, !section.has(key, environment: variable(name)) {
      section.fail(key, environment: variable(name), "required: \(expectation)")
    }
    return value
  }

  func read(isWanted: Bool) -> ClientSettings? {
    if let embedded {
      section.ignore()
      let client = OAuthClient.auth0(
        name: name, baseURL: embedded.baseURL, clientID: embedded.clientID,
        secrets: embedded.secrets.map { Secret(Array($0.utf8)) })
      return ClientSettings(client: client, trust: .pem(embedded.certificatePEM))
    }
    guard isWanted else { return nil }
    let tenant = require("domain", "DOMAIN", .tenant, "your tenant's domain, such as acme.eu.auth0.com")
    let id = require("clientId", "CLIENT_ID", .text("a client id"), "the client id of a machine-to-machine application")
    let secrets = secrets()
    let trust = section.value("caFile", environment: variable("CA_FILE"), .certificates).map(HTTPClient.Trust.file)
    if section.has("privateKeyFile", environment: variable("PRIVATE_KEY_FILE")) {
      section.fail(
        "privateKeyFile", environment: variable("PRIVATE_KEY_FILE"),
        "private_key_jwt is not supported yet; use a client secret")
    }
    guard let tenant, let id, let secrets else { return nil }
    let client = OAuthClient.auth0(name: name, baseURL: tenant, clientID: id, secrets: secrets.list)
    return ClientSettings(client: client, trust: trust ?? .system, secretFile: secrets.file)
  }

  /// From one place; what the environment names, it names alone.
  private func secrets() -> (list: [Secret], file: String?)? {
    let (secret, file) = (variable("CLIENT_SECRET"), variable("CLIENT_SECRET_FILE"))
    let isInEnvironment = section.isFromEnvironment(secret) || section.isFromEnvironment(file)
    let hasSecret = isInEnvironment ? section.isFromEnvironment(secret) : section.has("clientSecret")
    let hasFile = isInEnvironment ? section.isFromEnvironment(file) : section.has("clientSecretFile")
    section.know("clientSecret", "clientSecretFile")
    switch (hasSecret, hasFile) {
    case (true, true):
      section.fail("clientSecret", environment: secret, "set together with clientSecretFile; expected one of them")
    case (true, false):
      return section.value("clientSecret", environment: secret, .secret("the client secret")).map { ([$0], nil) }
    case (false, true):
      return section.value("clientSecretFile", environment: file, .secretFile).map { ($0.secrets, $0.path) }
    case (false, false):
      section.fail(
        "clientSecret", environment: secret, "required: the client secret itself here, or its file in clientSecretFile")
    }
    return nil
  }
}

/// A file with a client's secrets: one a line, the newest first.
struct SecretFile: Sendable {
  let path: String
  let secrets: [Secret]

  init(_ path: String) throws(FileError) {
    self.path = path
    let lines = try File.read(path).split { $0 == 0x0A || $0 == 0x0D }
    if lines.isEmpty { throw FileError(reason: "it is empty; expected the client secret in it") }
    if lines.count > 2 {
      throw FileError(reason: "it has \(lines.count) lines; expected one secret, or the new and the old one")
    }
    secrets = lines.map { Secret($0) }
  }
}

extension Format where Value == SecretFile {
  static var secretFile: Format { file(show: \.path) { path throws(FileError) in try SecretFile(path) } }
}

extension Format where Value == [UInt8] {
  /// The contents of a file.
  static var contents: Format { file(show: { "\($0.count) bytes" }) { path throws(FileError) in try File.read(path) } }
}

extension Format where Value == String {
  /// A file with certificates in PEM.
  static var certificates: Format {
    file(show: \.self) { path throws(FileError) in
      let contents = try File.read(path)
      guard String(decoding: contents, as: UTF8.self).contains("-----BEGIN CERTIFICATE-----") else {
        throw FileError(reason: "it holds no PEM certificate")
      }
      return path
    }
  }
}

extension Format {
  /// What `read` makes of the file at a path.
  static func file(
    show: @escaping (Value) -> String, _ read: @escaping (String) throws(FileError) -> Value
  ) -> Format {
    Format(show: show) { path throws(Unexpected) in
      do throws(FileError) {
        return try read(path)
      } catch {
        throw Unexpected("\(path): \(error.reason)")
      }
    }
  }
}
