/// Request ids of one loop: a random prefix and a counter, in hexadecimal, advanced in place.
struct RequestIDSequence {
  private(set) var bytes: [UInt8]

  init() {
    var prefix = String(UInt64.random(in: .min ... .max), radix: 16)
    prefix = String(repeating: "0", count: 16 - prefix.count) + prefix
    bytes = Array("\(prefix)-00000000".utf8)
  }

  mutating func advance() {
    var index = bytes.count - 1
    while bytes[index] != UInt8(ascii: "-") {
      switch bytes[index] {
      case UInt8(ascii: "f"):
        bytes[index] = UInt8(ascii: "0")
        index -= 1
        continue
      case UInt8(ascii: "9"): bytes[index] = UInt8(ascii: "a")
      default: bytes[index] += 1
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
