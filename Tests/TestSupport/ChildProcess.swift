import CLinux
import Dispatch
import Foundation
import Glibc
import Synchronization

/// A real program run by a test: its output is collected, its end is waited for within bounds, and it never outlives
/// the object. It is started by posix_spawn, because Foundation's Process may not be used from several threads on
/// Linux.
package final class ChildProcess: Sendable {
  package struct Failure: Error, CustomStringConvertible {
    package let description: String

    package init(description: String) {
      self.description = description
    }
  }

  private struct State {
    var output: [UInt8] = []
    var errors: [UInt8] = []
    var openPipes = 2
    var status: Int32?
  }

  package let identifier: Int32
  private let name: String
  private let state = Watched(State())

  /// Held while pipes exist that another child could inherit.
  private static let starting = Mutex(())

  /// Starts `executable`, a path or a name on PATH, with exactly this environment beside PATH, HOME, and what a
  /// sanitizer is told.
  package init(_ executable: String, _ arguments: [String], environment: [String: String] = [:]) throws {
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
    signal(SIGKILL)
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

  package var output: String { String(decoding: state.value.output, as: UTF8.self) }
  package var errors: String { String(decoding: state.value.errors, as: UTF8.self) }

  /// Does nothing once the program has ended, whose number may be another's then.
  package func signal(_ number: Int32) {
    if state.value.status == nil { kill(identifier, number) }
  }

  /// Waits until `condition` gives a value; it is asked again whenever there is new output or the program has ended.
  /// Throws after `timeout`, with what the program said.
  @discardableResult
  package func wait<Value>(
    for what: String, timeout: Duration = .seconds(30), _ condition: (ChildProcess) -> Value?
  ) async throws -> Value {
    do {
      return try await state.wait(for: what, within: timeout) { condition(self) }
    } catch {
      throw Failure(description: "\(name): \(error); it said: \(output) \(errors)")
    }
  }

  /// Waits likewise until `condition` holds.
  package func wait(
    for what: String, timeout: Duration = .seconds(30), until condition: (ChildProcess) -> Bool
  ) async throws {
    let _: Bool = try await wait(for: what, timeout: timeout) { condition($0) ? true : nil }
  }

  /// Waits until `text` stands so many times in what it has said on standard error: its log.
  package func wait(forLog text: String, times: Int = 1) async throws {
    try await wait(for: "'\(text)' \(times) times") { $0.errors.components(separatedBy: text).count > times }
  }

  /// The exit status, 128 and more for a signal, once the program has ended and all it said has been read.
  @discardableResult
  package func end(timeout: Duration = .seconds(30)) async throws -> Int32 {
    try await wait(for: "end", timeout: timeout) { child in
      let state = child.state.value
      return state.openPipes == 0 ? state.status : nil
    }
  }

  /// Runs a program to its end.
  package static func run(
    _ executable: String, _ arguments: [String], environment: [String: String] = [:], timeout: Duration = .seconds(60)
  ) async throws -> (status: Int32, output: String, errors: String) {
    let child = try ChildProcess(executable, arguments, environment: environment)
    let status = try await child.end(timeout: timeout)
    return (status, child.output, child.errors)
  }
}
