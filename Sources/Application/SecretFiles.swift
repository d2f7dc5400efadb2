import BrokerCore
import IO
import Logging
import Settings
import Synchronization

/// Reads the clients' secrets again when their files change.
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
      guard let path = spec.secretFile else { continue }
      do throws(SystemError) {
        next.append(try FileWatcher(path) { [weak self, name = spec.name] in self?.read(path, client: name) })
      } catch {
        log.error(
          "changes of the client secret will not be noticed", metadata: ["file": "\(path)", "reason": "\(error)"])
      }
    }
    watchers.withLock { $0 = next }
  }

  /// Takes over what a file says now. One that makes no sense changes nothing.
  private func read(_ path: String, client: String) {
    do throws(FileError) {
      guard upstreams.replaceSecrets(of: client, in: path, with: try SecretFile(path).secrets) else { return }
      log.info("the client secret has changed", metadata: ["client": "\(client)", "file": "\(path)"])
    } catch {
      log.warning("the client secret stays as it was", metadata: ["file": "\(path)", "reason": "\(error.reason)"])
    }
  }
}
