import Logging
import TokenBroker

/// Reads the configuration again while the broker runs. One that is wrong changes nothing.
actor Reloader {
  typealias Apply = @Sendable (Configuration) async throws -> Routing

  private let origin: Configuration.Origin
  private let log: Logger
  private let apply: Apply
  private(set) var current: Configuration?
  /// Of the file as it was last read.
  private var digest: KeyDigest?
  /// What is under way: an actor lets others in while it waits, and configurations must follow one another.
  private var last: Task<Void, Never>?

  init(_ origin: Configuration.Origin, log: Logger, apply: @escaping Apply) {
    self.origin = origin
    self.log = log
    self.apply = apply
  }

  /// Applies the configuration that the broker starts with.
  func start(_ configuration: Configuration) async throws -> Routing {
    let routing = try await apply(configuration)
    current = configuration
    digest = configuration.fileDigest
    return routing
  }

  /// `ifChanged`: only if the file is another than it was.
  func reload(ifChanged: Bool) async {
    let previous = last
    let task = Task {
      await previous?.value
      await reloadNow(ifChanged: ifChanged)
    }
    last = task
    await task.value
  }

  private var currentDigest: KeyDigest? {
    origin.file.flatMap { try? File.read($0) }.map { KeyDigest(of: $0.span) }
  }

  private func reloadNow(ifChanged: Bool) async {
    let digest = currentDigest
    if ifChanged, digest == self.digest { return }
    self.digest = digest
    do throws(ConfigurationErrors) {
      try await take(Configuration(from: origin, after: current))
    } catch {
      for error in error.errors {
        log.error("the configuration stays as it was", metadata: ["reason": "\(error)"])
      }
    }
  }

  private func take(_ configuration: Configuration) async {
    // What nobody meant to open stays shut: a file may have lost its end.
    let openings = current.map { configuration.openings(since: $0) } ?? []
    for key in openings {
      log.error(
        "the configuration stays as it was",
        metadata: ["reason": "\(key): cannot be given up while the broker runs; that takes a new start"])
    }
    if !openings.isEmpty { return }
    do {
      _ = try await apply(configuration)
      log.info("the configuration was read again", metadata: ["file": "\(origin.file ?? "environment")"])
      warn(configuration)
      current = configuration
    } catch {
      log.error("the configuration stays as it was", metadata: ["reason": "\(error)"])
    }
  }

  /// Says what of it only a new start can bring into force.
  private func warn(_ configuration: Configuration) {
    let keys = ["listen", "admin.", "workers", "limits."]
    func fixed(_ configuration: Configuration?) -> [String: String] {
      let settings = (configuration?.effective ?? []).filter { setting in
        keys.contains { setting.key.starts(with: $0) }
          && !["limits.requestTimeout", "limits.waitingRequests"].contains(setting.key)
      }
      return Dictionary(settings.map { ($0.key, $0.value) }) { "\($0), \($1)" }
    }
    let (before, after) = (fixed(current), fixed(configuration))
    for key in Set(before.keys).union(after.keys).sorted() where before[key] != after[key] {
      log.warning("this setting takes effect at the next start", metadata: ["key": "\(key)"])
    }
  }
}
