import Basics
import CHiredis
import Glibc
import IO

/// A command with its arguments, put into the form in which it is sent.
struct RedisCommand {
  let kind: RedisReply.Kind
  /// It changes nothing, so a replica can do it.
  let isRead: Bool
  /// Where its keys lie in a cluster; nil if it has none.
  private(set) var slot: Int?
  /// The arguments one behind the other, so that there is one memory for all to point into.
  private var bytes: [UInt8] = []
  private var counts: [Int] = []

  init(_ words: String..., answer kind: RedisReply.Kind = .status, isRead: Bool = false) {
    self.kind = kind
    self.isRead = isRead
    for word in words { add(word) }
  }

  /// Adds a key; all of a command's lie in one slot.
  mutating func add(key: String) {
    slot = RedisSlot.number(of: key)
    add(key)
  }

  mutating func add(_ argument: [UInt8]) {
    bytes += argument
    counts.append(argument.count)
  }

  mutating func add(_ text: String) { add(Array(text.utf8)) }

  mutating func add(_ number: Int) { add(String(number)) }

  /// Adds whole milliseconds, one at least.
  mutating func add(_ duration: Duration) { add(Int(max(1, duration.nanoseconds / 1_000_000))) }

  /// The command as it is sent.
  var formatted: [UInt8] {
    unsafe bytes.withUnsafeBytes { memory in
      var start = 0
      let arguments = unsafe counts.map { count in
        defer { start += count }
        return unsafe UnsafeRawBufferPointer(rebasing: memory[start..<start + count])
      }
      return unsafe Self.format(arguments) { unsafe Array($0) }
    }
  }

  /// Appends AUTH without leaving the password elsewhere.
  static func authenticate(user: String?, password: Secret, to output: inout ByteBuffer) {
    var words = RedisCommand("AUTH")
    if let user { words.add(user) }
    unsafe words.bytes.withUnsafeBytes { memory in
      password.withBytes { password in
        unsafe password.withUnsafeBytes { password in
          let name = unsafe UnsafeRawBufferPointer(rebasing: memory[..<4])
          let user = unsafe UnsafeRawBufferPointer(rebasing: memory[4...])
          let arguments = unsafe words.counts.count == 1 ? [name, password] : [name, user, password]
          unsafe format(arguments) { bytes in unsafe output.append(bytes.assumingMemoryBound(to: UInt8.self).span) }
        }
      }
    }
  }

  private static func format<Result>(
    _ arguments: [UnsafeRawBufferPointer], _ body: (UnsafeRawBufferPointer) -> Result
  ) -> Result {
    var starts = unsafe arguments.map { unsafe $0.baseAddress?.assumingMemoryBound(to: CChar.self) }
    let counts = unsafe arguments.map(\.count)
    var made: UnsafeMutablePointer<CChar>?
    let count = unsafe redisFormatCommandArgv(&made, Int32(arguments.count), &starts, counts)
    guard let made = unsafe made, count >= 0 else { preconditionFailure("out of memory") }
    defer {
      unsafe explicit_bzero(made, Int(count))
      unsafe redisFreeCommand(made)
    }
    return unsafe body(UnsafeRawBufferPointer(start: made, count: Int(count)))
  }
}
