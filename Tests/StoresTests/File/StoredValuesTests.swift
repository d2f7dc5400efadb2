import Basics
import Testing
import BrokerCore

@testable import Stores

@Suite struct StoredValuesTests {
  private let now = Instant(nanoseconds: 1_000_000_000)

  private func entry(_ bytes: Int = 1, after seconds: Int) -> StoredValues.Entry {
    .init(value: [UInt8](repeating: 0, count: bytes), expiresAt: now.advanced(by: .seconds(seconds)))
  }

  @Test("A value is found before it expires, and not at that moment")
  func expiry() {
    var values = StoredValues()
    values.set(Sample.name(1), to: entry(after: 10), now: now)
    #expect(values.value(of: Sample.name(1), at: now.advanced(by: .seconds(10)).advanced(byNanoseconds: -1)) == [0])
    #expect(values.value(of: Sample.name(1), at: now.advanced(by: .seconds(10))) == nil)
    #expect(values.value(of: Sample.name(2), at: now) == nil)
  }

  @Test("Only values that have expired are removed as expired")
  func removal() {
    var values = StoredValues()
    values.set(Sample.name(1), to: entry(after: 10), now: now)
    values.set(Sample.name(2), to: entry(after: 20), now: now)
    values.removeExpired([Sample.name(1), Sample.name(2), Sample.name(3)], now: now.advanced(by: .seconds(10)))
    #expect(Set(values.entries.keys) == [Sample.name(2)])
  }

  @Test("A value that is replaced counts only once in the size")
  func size() {
    var values = StoredValues()
    for length in [100, 7, 30] { values.set(Sample.name(1), to: entry(length, after: 10), now: now) }
    #expect(values.bytes == FileFormat.overheadBytes + 30)
    values.remove(Sample.name(1))
    values.remove(Sample.name(1))
    #expect(values.bytes == 0)
  }

  @Test(
    "At either bound what is expired goes, then what expires soonest", arguments: [(32, 1 << 20), (1 << 20, 32 * 45)])
  func bounds(_ maxEntries: Int, _ maxBytes: Int) {
    var values = StoredValues(maxEntries: maxEntries, maxBytes: maxBytes)
    for number in 0..<32 {
      values.set(Sample.name(UInt8(number)), to: entry(after: number < 4 ? -1 : 1000 - number), now: now)
    }
    #expect(values.entries.count == 32)
    values.set(Sample.name(100), to: entry(after: 1), now: now)
    // The expired are gone, and that is room enough.
    #expect(Set(values.entries.keys) == Set((4..<32).map { Sample.name($0) } + [Sample.name(100)]))
    for number in 101..<105 { values.set(Sample.name(UInt8(number)), to: entry(after: 2000), now: now) }
    #expect(values.entries.count <= 32)
    #expect(values.value(of: Sample.name(100), at: now) == nil)
    #expect(values.value(of: Sample.name(4), at: now) != nil)
    #expect(values.value(of: Sample.name(104), at: now) != nil)
  }
}
