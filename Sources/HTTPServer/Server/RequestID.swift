import IO

/// The id of the request at hand: the caller's if it is sane, else the next of the loop's own, which are a random
/// prefix and a counter, in hexadecimal, advanced in place.
struct RequestID: ~Copyable {
  private var own: [UInt8]
  private var callers: [UInt8] = []

  init() {
    var prefix = String(UInt64.random(in: .min ... .max), radix: 16)
    prefix = String(repeating: "0", count: 16 - prefix.count) + prefix
    own = Array("\(prefix)-00000000".utf8)
  }

  var bytes: [UInt8] { callers.isEmpty ? own : callers }
  var text: String { String(decoding: bytes, as: UTF8.self) }

  /// Writes `bytes`, without a copy of them in between.
  func write(to output: inout ByteBuffer) {
    if callers.isEmpty { output.append(own) } else { output.append(callers) }
  }

  /// Takes the id that stands at `range`, if it is sane; else the next of the loop's own.
  mutating func begin(_ range: Range<Int>?, in bytes: Span<UInt8>) {
    if !callers.isEmpty { callers.removeAll(keepingCapacity: true) }
    guard let range, Self.isSane(range, in: bytes) else { return advance() }
    for index in range { callers.append(bytes[index]) }
  }

  /// Goes back to the id of a request that was put off; nil for what never was a request.
  mutating func restore(_ id: String?) {
    callers.removeAll(keepingCapacity: true)
    if let id { callers += Array(id.utf8) } else { advance() }
  }

  mutating func advance() {
    var index = own.count - 1
    while own[index] != UInt8(ascii: "-") {
      switch own[index] {
      case UInt8(ascii: "f"):
        own[index] = UInt8(ascii: "0")
        index -= 1
        continue
      case UInt8(ascii: "9"): own[index] = UInt8(ascii: "a")
      default: own[index] += 1
      }
      return
    }
  }

  /// A caller's id is kept if it is short and cannot be mistaken for anything else in a log line or a header.
  static func isSane(_ id: Range<Int>, in bytes: Span<UInt8>) -> Bool {
    !id.isEmpty && id.count <= 128
      && id.allSatisfy { Octet.isToken(bytes[$0]) || bytes[$0] == UInt8(ascii: "/") || bytes[$0] == UInt8(ascii: ":") }
  }
}
