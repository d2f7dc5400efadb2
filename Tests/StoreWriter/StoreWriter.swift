import Basics
import BrokerCore
import Glibc
import Logging
import Stores

/// `store-writer PATH save NUMBER`: saves numbered values in the file store at PATH, from NUMBER on, until it is ended.
/// It writes "refused" and ends, or "open", then "N saved" or "N lost" for each.
///
/// `store-writer PATH mint COUNT`: comes to COUNT values as a broker of a fleet does, and writes "N minted" for each
/// that it had to make itself, then "done".
@main enum StoreWriter {
  static func main() async throws {
    let arguments = CommandLine.arguments
    // However busy the machine is.
    let store = FileStore(
      path: arguments[1], timeout: .seconds(30),
      log: Logger(label: "store") { StreamLogHandler.standardError(label: $0) })
    guard store.condition.problem == nil else {
      say("refused")
      exit(1)
    }
    say("open")
    let number = Int(arguments[3]) ?? 0
    switch arguments[2] {
    case "save": await save(in: store, from: number)
    default:
      for number in 0..<number { try await mint(number, in: store) }
      store.close()
      say("done")
    }
  }

  private static func save(in store: FileStore, from first: Int) async {
    var number = first
    while true {
      let isSaved = (try? await store.save([Numbered.entry(number)], settling: nil)) != nil
      say("\(number) \(isSaved ? "saved" : "lost")")
      number += 1
    }
  }

  private static func mint(_ number: Int, in store: FileStore) async throws {
    let name = StoreName(repeatElement(UInt8(number), count: 32))
    while true {
      let answer = try await store.claim(name, for: .seconds(3), loading: [name])
      guard case .granted(let claim) = answer.outcome else {
        await store.waitForChange(of: name, until: Instant.now.advanced(by: .seconds(1)))
        continue
      }
      let isThere = answer.values[0] != nil
      if !isThere {
        say("\(number) minted")
        // As long as a tenant that is near.
        usleep(2000)
      }
      let entry = StoreEntry(name: name, value: [1], lifetime: .seconds(3600))
      return try await store.save(isThere ? [] : [entry], settling: claim)
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
