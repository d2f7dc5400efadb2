import CLinux
import Dispatch
import Glibc
import Synchronization

/// A real program run by a test: its output is collected, its end is waited for within bounds, and it never outlives the
/// object. On posix_spawn, because Foundation's Process is not safe to use from several threads on Linux.
public final class ChildProcess: Sendable {
  public struct Failure: Error, CustomStringConvertible {
    public let description: String

    public init(description: String) {
      self.description = description
    }
  }

  private struct State {
    var output: [UInt8] = []
    var errors: [UInt8] = []
    var openPipes = 2
    var status: Int32?
    /// Counts what has happened, so that nothing is missed between looking and waiting.
    var changes = 0
    /// Those who wait for something to happen.
    var watchers: [Int: CheckedContinuation<Void, Never>] = [:]
    var lastWatcher = 0
  }

  public let identifier: Int32
  private let name: String
  private let state = Shared()

  private final class Shared: Sendable {
    let state = Mutex(State())

    func change(_ body: (inout State) -> Void) {
      let watchers = state.withLock { state in
        body(&state)
        state.changes += 1
        defer { state.watchers = [:] }
        return Array(state.watchers.values)
      }
      for watcher in watchers { watcher.resume() }
    }
  }

  /// Held while pipes exist that another child could inherit.
  private static let starting = Mutex(())

  /// Starts `executable`, a path or a name on PATH, with exactly this environment beside PATH, HOME, and what a sanitizer is
  /// told.
  public init(_ executable: String, _ arguments: [String], environment: [String: String] = [:]) throws {
    name = ([executable] + arguments).joined(separator: " ").prefix(200).description
    let words = [executable] + arguments
    let (child, output, errors) = try Self.starting.withLock { _ in
      try Self.spawn(words, Self.inherited.merging(environment) { $1 })
    }
    identifier = child
    collect(output) { $0.output += $1 }
    collect(errors) { $0.errors += $1 }
    DispatchQueue(label: "wait").async { [state] in
      var status: Int32 = 0
      while unsafe waitpid(child, &status, 0) < 0 && errno == EINTR {}
      let signal = status & 0x7F
      state.change { $0.status = signal == 0 ? (status >> 8) & 0xFF : 128 + signal }
    }
  }

  deinit {
    if state.state.withLock(\.status) == nil { kill(identifier, SIGKILL) }
  }

  private static var inherited: [String: String] {
    var variables: [String: String] = [:]
    for name in ["PATH", "HOME", "LD_PRELOAD", "TSAN_OPTIONS", "ASAN_OPTIONS", "LSAN_OPTIONS"] {
      variables[name] = unsafe getenv(name).map { unsafe String(cString: $0) }
    }
    return variables
  }

  private static func spawn(
    _ words: [String], _ environment: [String: String]
  ) throws -> (child: pid_t, output: Int32, errors: Int32) {
    let (output, errors) = (try pipe(), try pipe())
    defer {
      close(output.write)
      close(errors.write)
    }
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe _ = posix_spawn_file_actions_destroy(&actions) }
    unsafe posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
    unsafe posix_spawn_file_actions_adddup2(&actions, output.write, STDOUT_FILENO)
    unsafe posix_spawn_file_actions_adddup2(&actions, errors.write, STDERR_FILENO)
    // What tests beside this one have open is none of its business: inherited, it counts against a low limit.
    unsafe posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1)
    // The threads that tests run on block signals, which a program would inherit.
    var attributes = posix_spawnattr_t()
    unsafe posix_spawnattr_init(&attributes)
    defer { unsafe _ = posix_spawnattr_destroy(&attributes) }
    var none = sigset_t()
    unsafe sigemptyset(&none)
    unsafe posix_spawnattr_setsigmask(&attributes, &none)
    unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
    let arguments = unsafe words.map { unsafe strdup($0) } + [nil]
    let variables = unsafe environment.map { unsafe strdup("\($0.key)=\($0.value)") } + [nil]
    defer { unsafe (arguments + variables).forEach { unsafe free($0) } }
    var child: pid_t = 0
    let code = unsafe posix_spawnp(&child, words[0], &actions, &attributes, arguments, variables)
    if code != 0 { throw Failure(description: "cannot start \(words[0]): errno \(code)") }
    return (child, output.read, errors.read)
  }

  private static func pipe() throws -> (read: Int32, write: Int32) {
    var ends: [Int32] = [0, 0]
    guard unsafe Glibc.pipe(&ends) == 0 else { throw Failure(description: "pipe: errno \(errno)") }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    return (ends[0], ends[1])
  }

  /// Reads to the end on a thread of its own.
  private func collect(_ descriptor: Int32, _ append: @escaping @Sendable (inout State, ArraySlice<UInt8>) -> Void) {
    DispatchQueue(label: "collect").async { [state] in
      var buffer = [UInt8](repeating: 0, count: 65536)
      while true {
        let count = unsafe read(descriptor, &buffer, buffer.count)
        if count < 0 && errno == EINTR { continue }
        if count <= 0 { break }
        state.change { append(&$0, buffer[..<count]) }
      }
      close(descriptor)
      state.change { $0.openPipes -= 1 }
    }
  }

  public var output: String { state.state.withLock { String(decoding: $0.output, as: UTF8.self) } }
  public var errors: String { state.state.withLock { String(decoding: $0.errors, as: UTF8.self) } }

  public func signal(_ number: Int32) { kill(identifier, number) }

  /// Waits until `condition` gives a value; it is looked at again whenever there is new output or the program has ended.
  /// Throws after `timeout`, with what the program said.
  public func wait<Value: Sendable>(
    for what: String, timeout: Duration = .seconds(30), _ condition: (ChildProcess) -> Value?
  ) async throws -> Value {
    let deadline = ContinuousClock.now.advanced(by: timeout)
    while true {
      let changes = state.state.withLock(\.changes)
      if let value = condition(self) { return value }
      if ContinuousClock.now >= deadline {
        throw Failure(description: "\(name): no \(what) within \(timeout); it said: \(output) \(errors)")
      }
      await change(after: changes, until: deadline)
    }
  }

  private func change(after changes: Int, until deadline: ContinuousClock.Instant) async {
    let id = state.state.withLock { state in
      state.lastWatcher += 1
      return state.lastWatcher
    }
    let timer = Task { [state] in
      try await Task.sleep(until: deadline, clock: .continuous)
      state.state.withLock { $0.watchers.removeValue(forKey: id) }?.resume()
    }
    await withCheckedContinuation { continuation in
      let isLate = state.state.withLock { state in
        if state.changes != changes || ContinuousClock.now >= deadline { return true }
        state.watchers[id] = continuation
        return false
      }
      if isLate { continuation.resume() }
    }
    timer.cancel()
  }

  /// The exit status, 128 and more for a signal, once the program has ended and all it said has been read.
  @discardableResult
  public func end(timeout: Duration = .seconds(30)) async throws -> Int32 {
    try await wait(for: "end", timeout: timeout) { child in
      child.state.state.withLock { $0.openPipes == 0 ? $0.status : nil }
    }
  }

  /// Runs a program to its end.
  public static func run(
    _ executable: String, _ arguments: [String], environment: [String: String] = [:], timeout: Duration = .seconds(60)
  ) async throws -> (status: Int32, output: String, errors: String) {
    let child = try ChildProcess(executable, arguments, environment: environment)
    let status = try await child.end(timeout: timeout)
    return (status, child.output, child.errors)
  }
}
