import Basics
import BrokerCore
import IO
import Logging
import OAuth
import Settings
import Synchronization

/// Takes note of it when the files change that clients prove themselves with: secrets are read again, and of an
/// assertion, which is read whenever it is needed, it is only said that there is another.
final class SecretFiles: Sendable {
  private let upstreams: Upstreams
  private let log: Logger
  private let watchers = Mutex<[FileWatcher]>([])

  init(of upstreams: Upstreams, log: Logger) {
    self.upstreams = upstreams
    self.log = log
  }

  /// Watches the files of these clients, and no others. Each is read once at first: it may have changed since.
  func watch(_ specs: [UpstreamSpec]) {
    var next: [FileWatcher] = []
    for spec in specs {
      if let path = spec.secretFile {
        next += watcher(path, of: "secret") { [weak self, name = spec.name] in self?.read(path, client: name) }
      }
      if let path = spec.client.authentication.assertionFile?.path {
        // Read as a secret, so that it stays in no other memory.
        let fingerprint = Mutex((try? Secret(file: path))?.fingerprint)
        next += watcher(path, of: "assertion") { [weak self, name = spec.name] in
          let found = (try? Secret(file: path))?.fingerprint
          let isOther = fingerprint.withLock { last in
            defer { last = found }
            return last != found
          }
          if isOther { self?.assertionChanged(path, client: name) }
        }
      }
    }
    watchers.withLock { $0 = next }
  }

  /// None if the system has none left.
  private func watcher(_ path: String, of thing: String, _ changed: @escaping @Sendable () -> Void) -> [FileWatcher] {
    do throws(SystemError) {
      return [try FileWatcher(path, changed: changed)]
    } catch {
      log.error(
        "changes of the client \(thing) will not be noticed", metadata: ["file": "\(path)", "reason": "\(error)"])
      return []
    }
  }

  private func assertionChanged(_ path: String, client: String) {
    guard upstreams.assertionChanged(of: client, in: path) else { return }
    log.info("the client assertion has changed", metadata: ["client": "\(client)", "file": "\(path)"])
  }

  /// Takes over what a file says now. One that makes no sense changes nothing.
  private func read(_ path: String, client: String) {
    do throws(FileError) {
      guard upstreams.replaceSecrets(of: client, in: path, with: try SecretFile(path).secrets) else { return }
      log.info(
        "the client secret has changed",
        metadata: [
          "client": "\(client)", "file": "\(path)",
          "reason": "the tenant is asked with it for the next new token, and not before; token-broker check asks now",
        ])
    } catch {
      log.warning("the client secret stays as it was", metadata: ["file": "\(path)", "reason": "\(error.reason)"])
    }
  }
}
