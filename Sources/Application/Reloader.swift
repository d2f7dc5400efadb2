import Basics
import BrokerAPI
import Logging
import IO
import Settings

/// Reads the configuration again while the broker runs. One that is wrong changes nothing, and is tried again: what
/// could not be read just then may be right without any file having changed that is watched.
actor Reloader {
  typealias Apply = @Sendable (Configuration) async throws -> AccessPolicy

  /// Why the configuration is read.
  enum Occasion {
    case demand
    /// A file may be another than it was.
    case change
    /// It was refused before.
    case retry
  }

  private let origin: Configuration.Origin
  private let listeners: [ConfigurationLint.Listener]
  private let log: Logger
  /// Told how each attempt went.
  private let dependencies: Dependencies
  private let apply: Apply
  private(set) var current: Configuration?
  /// As they were when the configuration was last read, right or wrong.
  private var files: [String: SHA256Digest] = [:]
  private var watchers: [String: FileWatcher] = [:]
  /// What is under way: an actor lets others in while it waits, and configurations must follow one another.
  private var last: Task<Void, Never>?
  /// Why it was refused last; empty if it was not.
  private var reasons: [String] = []
  private var retries = 0
  private var retry: Task<Void, Never>?
  private static let backoff = Backoff(first: .seconds(1), longest: .seconds(60))

  /// `listeners` are those of the main listener, which stay what they are.
  init(
    _ origin: Configuration.Origin, listeners: [ConfigurationLint.Listener], log: Logger,
    dependencies: Dependencies, apply: @escaping Apply
  ) {
    self.origin = origin
    self.listeners = listeners
    self.log = log
    self.dependencies = dependencies
    self.apply = apply
  }

  /// Applies the configuration that the broker starts with.
  func start(_ configuration: Configuration) async throws -> AccessPolicy {
    let policy = try await apply(configuration)
    current = configuration
    files = configuration.files
    dependencies.loaded(configuration)
    try watch(files.keys)
    return policy
  }

  func reload(on occasion: Occasion) async {
    let previous = last
    let task = Task {
      await previous?.value
      await reloadNow(on: occasion)
    }
    last = task
    await task.value
  }

  /// Keeps an eye on these files, and on no others.
  private func watch(_ paths: some Collection<String>) throws(SystemError) {
    watchers = watchers.filter { paths.contains($0.key) }
    for path in paths where watchers[path] == nil {
      watchers[path] = try FileWatcher(path) { [weak self] in Task { await self?.reload(on: .change) } }
    }
  }

  private func reloadNow(on occasion: Occasion) async {
    let found = watchers.keys.reduce(into: [:]) { $0[$1] = File.digest($1) }
    if occasion == .change, found == files { return }
    files = found
    let former = reasons
    do throws(ConfigurationErrors) {
      reasons = try await bringIntoForce(Configuration(from: origin, after: current))
    } catch {
      reasons = error.errors.map { "\($0)" }
    }
    retries = occasion == .retry ? retries + 1 : 1
    if reasons.isEmpty { return forgetRetry() }
    if occasion != .retry || reasons != former { tellRefusal() }
    setRetry()
  }

  private func tellRefusal() {
    for reason in reasons { log.error("the configuration stays as it was", metadata: ["reason": "\(reason)"]) }
    dependencies.refused(reasons)
  }

  private func forgetRetry() {
    retry?.cancel()
    retry = nil
  }

  private func setRetry() {
    forgetRetry()
    let delay = Self.backoff.delay(after: retries)
    retry = Task { [weak self] in
      // Nothing tells when a directory that is not watched can be read.
      if (try? await Task.sleep(for: delay)) != nil { await self?.reload(on: .retry) }
    }
  }

  /// Returns why it is not in force.
  private func bringIntoForce(_ configuration: Configuration) async -> [String] {
    var (configuration, reasons) = (configuration, [String]())
    // What nobody meant to open stays shut: a file may have lost its end.
    let openings = current.map { configuration.openings(since: $0) } ?? []
    if !openings.isEmpty {
      return openings.map { "\($0): cannot be given up while the broker runs; that takes a new start" }
    }
    if let current { configuration.keepRestrictions(of: current) }
    do {
      _ = try await apply(configuration)
      log.info("the configuration was read again", metadata: ["file": "\(origin.file ?? "environment")"])
      for key in current.map({ configuration.waitingForNextStart(since: $0) }) ?? [] {
        log.warning("this setting takes effect at the next start", metadata: ["key": "\(key)"])
      }
      let known = current.map(warnings) ?? []
      for warning in warnings(configuration) where !known.contains(where: warning.repeats) { log.warning(warning) }
      current = configuration
      files = configuration.files
      dependencies.loaded(configuration)
    } catch {
      reasons = ["\(error)"]
    }
    do throws(SystemError) {
      try watch(files.keys)
    } catch {
      log.error("changes of the configuration's files will not be noticed", metadata: ["reason": "\(error)"])
    }
    return reasons
  }

  private func warnings(_ configuration: Configuration) -> [ConfigurationWarning] {
    ConfigurationLint(configuration, environment: origin.environment, listeners: listeners).warnings
  }
}

extension Logger {
  /// Says what is configured, where, and what to do about it.
  func warning(_ warning: ConfigurationWarning) {
    let subject = warning.isAddress ? "address" : "key"
    var metadata: Logger.Metadata = [subject: "\(warning.subject)", "remedy": "\(warning.remedy)"]
    if let source = warning.source { metadata["file"] = "\(source)" }
    self.warning("\(warning.message)", metadata: metadata)
  }
}
