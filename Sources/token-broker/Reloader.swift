import Logging

/// Reads the configuration again while the broker runs. One that is wrong changes nothing.
actor Reloader {
  typealias Apply = @Sendable (Configuration) async throws -> Void

  private let origin: Configuration.Origin
  private let log: Logger
  private let apply: Apply
  private(set) var current: Configuration?
  /// The file as it was last read.
  private var contents: [UInt8]?
  /// What is under way: an actor lets others in while it waits, and configurations must follow one another.
  private var last: Task<Void, Never>?

  init(_ origin: Configuration.Origin, log: Logger, apply: @escaping Apply) {
    self.origin = origin
    self.log = log
    self.apply = apply
  }

  /// Applies the configuration that the broker starts with.
  func start(_ configuration: Configuration) async throws {
    contents = read()
    try await apply(configuration)
    current = configuration
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

  private func read() -> [UInt8]? { origin.file.flatMap { try? File.read($0) } }

  private func reloadNow(ifChanged: Bool) async {
    let contents = read()
    if ifChanged, contents == self.contents { return }
    self.contents = contents
    do throws(ConfigurationErrors) {
      try await take(Configuration(from: origin))
    } catch {
      for error in error.errors {
        log.error("the configuration stays as it was", metadata: ["reason": "\(error)"])
      }
    }
  }

  private func take(_ configuration: Configuration) async {
    do {
      try await apply(configuration)
      log.info("the configuration was read again", metadata: ["file": "\(origin.file ?? "environment")"])
      warn(configuration)
      current = configuration
    } catch {
      log.error("the configuration stays as it was", metadata: ["reason": "\(error)"])
    }
  }

  /// Says what of it only a new start can bring into force.
  private func warn(_ configuration: Configuration) {
    let keys = ["listen", "admin.", "workers", "limits.", "log."]
    func fixed(_ configuration: Configuration?) -> [String: String] {
      let settings = (configuration?.effective ?? []).filter { setting in
        keys.contains { setting.key.starts(with: $0) } && setting.key != "limits.requestTimeout"
      }
      return Dictionary(settings.map { ($0.key, $0.value) }) { "\($0), \($1)" }
    }
    let (before, after) = (fixed(current), fixed(configuration))
    for key in Set(before.keys).union(after.keys).sorted() where before[key] != after[key] {
      log.warning("this setting takes effect at the next start", metadata: ["key": "\(key)"])
    }
  }
}
