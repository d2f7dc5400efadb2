import Basics
import BrokerCore

/// The values of a store in memory, within bounds: when they are reached, what expires soonest goes.
struct StoredValues: Sendable {
  struct Entry: Sendable {
    let value: [UInt8]
    let expiresAt: Instant
  }

  private(set) var entries: [StoreName: Entry] = [:]
  /// How many bytes the entries would take in a file.
  private(set) var bytes = 0
  private let maxEntries: Int
  private let maxBytes: Int

  init(maxEntries: Int = 1 << 18, maxBytes: Int = StoreFile.maxBytes - FileFormat.headerBytes) {
    self.maxEntries = maxEntries
    self.maxBytes = maxBytes
  }

  func value(of name: StoreName, at now: Instant) -> [UInt8]? {
    guard let entry = entries[name], entry.expiresAt > now else { return nil }
    return entry.value
  }

  mutating func set(_ name: StoreName, to entry: Entry, now: Instant) {
    remove(name)
    entries[name] = entry
    bytes += Self.size(entry)
    if isOver(maxEntries, maxBytes) { makeRoom(now: now) }
  }

  mutating func remove(_ name: StoreName) {
    if let entry = entries.removeValue(forKey: name) { bytes -= Self.size(entry) }
  }

  /// Removes those of `names` that are expired.
  mutating func removeExpired(_ names: some Sequence<StoreName>, now: Instant) {
    for name in names { if let entry = entries[name], entry.expiresAt <= now { remove(name) } }
  }

  /// A sixteenth at once, so that not each entry after it has to make room again.
  private mutating func makeRoom(now: Instant) {
    for (name, entry) in entries.sorted(by: { $0.value.expiresAt < $1.value.expiresAt }) {
      guard entry.expiresAt <= now || isOver(maxEntries - maxEntries / 16, maxBytes - maxBytes / 16) else { return }
      remove(name)
    }
  }

  private func isOver(_ count: Int, _ size: Int) -> Bool { entries.count > count || bytes > size }

  private static func size(_ entry: Entry) -> Int { FileFormat.overheadBytes + entry.value.count }
}
