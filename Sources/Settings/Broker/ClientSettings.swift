package import Basics
package import HTTPClient
package import IO
package import OAuth
package import Telemetry

/// A client of an authorization server, and what it takes to ask it.
package struct ClientSettings: Sendable {
  package let client: OAuthClient
  /// Whose certificates are believed.
  package let trust: HTTPClient.Trust
  /// Where its secrets are read from again when they change.
  package var secretFile: String?
  /// Whether clients of their own may ask through it, with the credentials that they bring.
  package var isPassThrough = false
  /// What the other files that it names held when they were read, by their paths or settings.
  package var files: [String: SHA256Digest] = [:]
  /// Those that its tenant knows it by.
  package var certificates: [OwnCertificate] = []

  /// What stands in `files` for the contents of a private key, whose path is not known there.
  static let privateKey = "privateKeyFile"
}

extension Configuration {
  /// `auth0` is the client called default, `clients` has others. Returns the names of all, wrong ones included.
  mutating func readClients(_ root: Section, _ embedded: EmbeddedTenant?) -> [String] {
    let hasOthers = root.has("clients")
    var names: [String] = []
    root.section("auth0") { section in
      let isWanted =
        !hasOthers || section.mark != nil
        || ["DOMAIN", "CLIENT_ID"].contains { section.isFromEnvironment("AUTH0_\($0)") }
      if isWanted { names.append("default") }
      clients["default"] = ClientReader(section: section, name: "default", isDefault: true, embedded: embedded)
        .read(isWanted: isWanted)
    }
    root.sections("clients") { name, section in
      if names.contains(name) { return section.fail("domain", "the client called default is the one under auth0") }
      names.append(name)
      clients[name] = ClientReader(section: section, name: name, isDefault: false, embedded: embedded).read(
        isWanted: true)
    }
    // A certificate is replaced by whoever renews it, and connections that were made with the old one are of no use.
    for settings in clients.values {
      for (file, digest) in settings.files where file != ClientSettings.privateKey { files[file] = digest }
      certificates += settings.certificates
    }
    if clients.values.count(where: \.isPassThrough) > 1 {
      root.fail("clients", "more than one client has passthrough; expected one, whose tenant such requests are for")
    }
    return names
  }
}

/// A file with a client's secrets: one a line, the newest first.
package struct SecretFile: Sendable {
  let path: String
  package let secrets: [Secret]

  package init(_ path: String) throws(FileError) {
    self.path = path
    secrets = try Secret(file: path).lines
    if secrets.isEmpty { throw FileError(reason: "it is empty; expected the client secret in it") }
    if secrets.contains(where: { $0.withBytes { UnexpandedVariable.isOne($0) } }) {
      throw FileError(reason: "expected the client secret; \(UnexpandedVariable.words)")
    }
    if secrets.count > 2 {
      throw FileError(reason: "it has \(secrets.count) lines; expected one secret, or the new and the old one")
    }
  }
}

extension Format where Value == SecretFile {
  static var secretFile: Format {
    file(holdsSecret: true, show: \.path) { path throws(FileError) in try SecretFile(path) }
  }
}

extension Format where Value == [UInt8] {
  /// The contents of a file.
  static var contents: Format { file(show: { "\($0.count) bytes" }) { path throws(FileError) in try File.read(path) } }
}

extension Format where Value == String {
  /// A file with a private key, which somebody else reads.
  static var privateKeyFile: Format {
    file(holdsSecret: true, show: \.self) { path throws(FileError) in
      _ = try Secret(file: path)
      return path
    }
  }

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
    isSecret: Bool = false, holdsSecret: Bool = false, show: @escaping (Value) -> String = { "\($0)" },
    _ read: @escaping (String) throws(FileError) -> Value
  ) -> Format {
    Format(isSecret: isSecret, namesSecretFile: isSecret || holdsSecret, show: show) { path throws(Unexpected) in
      do throws(FileError) { return try read(path) } catch { throw Unexpected("\(Path.shown(path)): \(error.reason)") }
    }
  }
}

enum Path {
  /// A path as it may be shown: what looks like none may be the secret that was meant to be in the file.
  static func shown(_ path: String) -> String {
    let isPath = path.first == "/" || path.first == "."
    return isPath && path.utf8.count < 256 && path.utf8.allSatisfy { $0 >= 0x20 } ? path : "the file"
  }
}
