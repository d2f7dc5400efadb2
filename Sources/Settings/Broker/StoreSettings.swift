package import Basics
package import Logging
import OAuth
package import Stores
package import BrokerCore
import IO
import Telemetry

/// Where tokens are kept beyond this process, and what they are sealed with.
package struct StoreSettings: Sendable {
  package enum Location: Sendable {
    /// Nowhere.
    case memory
    case file(String)
    case redis(RedisSettings)
  }

  package var location = Location.memory
  /// The newest first; nil: each client's own secrets.
  package var keys: [Secret]?
  /// How long one operation on a file may take.
  package var fileTimeout = Duration.milliseconds(250)

  package var isShared: Bool { if case .memory = location { false } else { true } }

  /// The URL, without user and password.
  package var description: String {
    switch location {
    case .memory: "memory:"
    case .file(let path): "file:\(path)"
    case .redis(let settings): "\(settings)"
    }
  }

  /// nil for `memory:`.
  package func open(_ log: Logger) throws -> (any Store)? {
    switch location {
    case .memory: nil
    case .file(let path): FileStore(path: path, timeout: fileTimeout, log: log)
    case .redis(let settings): try RedisStore(settings, log: log)
    }
  }
}

extension Configuration {
  /// After the clients, whose secrets may have to do as keys.
  mutating func readStore(_ root: Section) {
    root.section("store", .nextStart) { section in
      let location: StoreSettings.Location = section.value("url", environment: "BROKER_STORE", .store, default: .memory)
      let keys = section.value("keyFile", environment: "BROKER_STORE_KEY_FILE", .storeKeys, .live)
      if let keys { files[keys.path] = keys.digest }
      store = StoreSettings(location: readRedis(location, section), keys: keys?.secrets)
      if case .file = location {
        store.fileTimeout = section.value("timeout", .storeTimeout, default: store.fileTimeout)
      }
      watchStoreCertificate()
      guard store.isShared else {
        if section.has("keyFile", environment: "BROKER_STORE_KEY_FILE") {
          section.fail("keyFile", environment: "BROKER_STORE_KEY_FILE", "the store memory: needs no key")
        }
        return
      }
      for (name, settings) in clients.sorted(by: { $0.key < $1.key })
      where keys == nil && settings.client.secrets == nil
        && !section.has("keyFile", environment: "BROKER_STORE_KEY_FILE")
      {
        section.fail(
          "keyFile", environment: "BROKER_STORE_KEY_FILE",
          "required: the client '\(name)' has no secret that tokens could be encrypted with")
      }
    }
  }

  /// It is read anew for each connection, so it may be replaced at any time.
  private mutating func watchStoreCertificate() {
    guard case .redis(let settings) = store.location, let file = settings.certificateFile else { return }
    certificates += OwnCertificate.chain(.store, in: file)
    for file in [file, settings.keyFile].compactMap(\.self) { files[file] = File.digest(file) }
  }

  private func readRedis(_ location: StoreSettings.Location, _ section: Section) -> StoreSettings.Location {
    let names = [
      "passwordFile", "sentinelPasswordFile", "prefix", "caFile", "certificateFile", "certificateKeyFile", "timeout",
    ]
    guard case .redis(var settings) = location else {
      section.know(names)
      for name in names where section.has(name) {
        if name == "timeout", case .file = location { continue }
        section.fail(name, "only a store in Redis or Valkey has it")
      }
      return location
    }
    readPasswords(&settings, section)
    if settings.user != nil, settings.password == nil,
      !section.has("passwordFile", environment: "BROKER_STORE_PASSWORD_FILE")
    {
      section.fail(
        "url", environment: "BROKER_STORE", "it names a user without a password; expected one there, or in passwordFile"
      )
    }
    settings.prefix = section.value("prefix", .text("what keys shall begin with"), default: settings.prefix)
    settings.timeout = section.value("timeout", .storeTimeout, default: settings.timeout)
    settings.caFile = section.value("caFile", .certificates)
    settings.certificateFile = section.value("certificateFile", .certificates)
    settings.keyFile = section.value("certificateKeyFile", .privateKeyFile)
    for name in ["caFile", "certificateFile", "certificateKeyFile"] where section.has(name) && !settings.usesTLS {
      section.fail(name, "only rediss: has TLS")
    }
    if section.has("certificateFile") != section.has("certificateKeyFile") {
      section.fail("certificateFile", "expected with certificateKeyFile: a certificate and its private key")
    }
    if (settings.certificateFile == nil) == (settings.keyFile == nil), settings.user == nil || settings.password != nil
    {
      do throws(StoreError) { try settings.check() } catch { section.fail("certificateFile", error.reason) }
    }
    return .redis(settings)
  }

  private func readPasswords(_ settings: inout RedisSettings, _ section: Section) {
    if let password = section.value("passwordFile", environment: "BROKER_STORE_PASSWORD_FILE", .secretContents) {
      (settings.password, settings.passwordFile) = (password.contents, password.path)
    }
    let (name, variable) = ("sentinelPasswordFile", "BROKER_STORE_SENTINEL_PASSWORD_FILE")
    if let password = section.value(name, environment: variable, .secretContents) {
      (settings.sentinelPassword, settings.sentinelPasswordFile) = (password.contents, password.path)
    }
    if case .primary = settings.server { return }
    if section.has(name, environment: variable) {
      section.fail(name, environment: variable, "only redis+sentinel: and rediss+sentinel: have Sentinels")
    }
  }
}

extension Format where Value == Duration {
  fileprivate static var storeTimeout: Format { .duration(.milliseconds(10)...(.seconds(5))) }
}

extension Format where Value == StoreSettings.Location {
  fileprivate static var store: Format {
    Format(show: { StoreSettings(location: $0).description }) { text throws(Unexpected) in
      if text == "memory:" { return .memory }
      if text.utf8.starts(with: "file:".utf8) {
        let path = String(text.dropFirst("file:".count))
        guard path.first == "/", path.last != "/", path.utf8.allSatisfy({ $0 >= 0x20 }) else {
          throw Unexpected("expected file: with the absolute path of a file")
        }
        return .file(path)
      }
      let schemes = ["redis:", "rediss:", "redis+unix:", "redis+sentinel:", "rediss+sentinel:"]
      guard schemes.contains(where: { text.utf8.starts(with: $0.utf8) }) else {
        // Without what was found: a URL may hold a password.
        throw Unexpected(
          "expected memory:, file:/path, redis://host:port/0, rediss://…, redis+unix:///path "
            + "or redis+sentinel://host:port,host:port/name")
      }
      do throws(RedisSettings.Malformed) {
        return .redis(try RedisSettings(url: text))
      } catch {
        throw Unexpected("\(error)")
      }
    }
  }
}

/// The keys that a file holds.
private struct StoreKeys {
  let path: String
  let digest: SHA256Digest?
  let secrets: [Secret]
}

extension Format where Value == StoreKeys {
  /// A file with keys, one a line, the newest first.
  fileprivate static var storeKeys: Format {
    file(isSecret: true) { path throws(FileError) in
      // First: a change while it is read is then found by whoever watches it.
      let digest = File.digest(path)
      let keys = try Secret(file: path).lines
      guard (1...2).contains(keys.count), keys.allSatisfy({ $0.count >= 32 }) else {
        throw FileError(
          reason: "expected a key of at least 32 random characters, and perhaps the one before it in a second line; "
            + "openssl rand -base64 32 makes one")
      }
      return StoreKeys(path: path, digest: digest, secrets: keys)
    }
  }
}
