import Glibc
import Logging
import Stores
import BrokerCore

/// `store-writer PATH NUMBER`: saves numbered values in the file store at PATH, from NUMBER on, until it is ended. It
/// writes "refused" and ends, or "open", then "N saved" once everything up to N is on the disk, and "N lost" if it
/// cannot be written.
@main enum StoreWriter {
  static func main() throws {
    let arguments = CommandLine.arguments
    let store = FileStore(
      path: arguments[1], log: Logger(label: "store") { StreamLogHandler.standardError(label: $0) })
    guard store.condition.problem == nil else {
      say("refused")
      exit(1)
    }
    say("open")
    var number = Int(arguments[2]) ?? 0
    while true {
      try store.save([Numbered.entry(number)], settling: nil)
      // What lies between is written in the background, or together with what is waited for.
      if number.isMultiple(of: 3) { say("\(number) \(store.flush() ? "saved" : "lost")") }
      number += 1
    }
  }

  private static func say(_ line: String) {
    let bytes = Array("\(line)\n".utf8)
    if unsafe write(STDOUT_FILENO, bytes, bytes.count) < 0 { exit(1) }
  }
}

/// Entries that can be told from each other, and from what none of them is.
enum Numbered {
  static let slots = 16

  static func name(_ slot: Int) -> StoreName { StoreName(repeatElement(UInt8(slot), count: 32)) }

  /// Each takes the place of the one that is `slots` before it.
  static func entry(_ number: Int) -> StoreEntry {
    let digits = Array("\(number) ".utf8)
    let value = (0..<(500 + number % 7 * 300)).map { digits[$0 % digits.count] }
    return StoreEntry(name: name(number % slots), value: value, lifetime: .seconds(3600))
  }

  /// The number of the entry that has this value; nil if none has.
  static func number(_ value: [UInt8]) -> Int? {
    guard let number = Int(String(decoding: value.prefix { $0 != UInt8(ascii: " ") }, as: UTF8.self)) else {
      return nil
    }
    return entry(number).value == value ? number : nil
  }
}
