import Foundation
import Testing
import BrokerCore
import HTTPClient

@testable import OAuth

/// Thousands of random inputs, the same in every run.
@Suite struct RetryHintTests {
  /// 2025-06-15T08:30:00Z
  private static let now = 1_749_976_200
  private static let day = 86_400

  /// Numbers of every length, the edges among them.
  private static func number(upTo most: Int, _ random: inout SeededGenerator) -> Int {
    switch Int.random(in: 0..<10, using: &random) {
    case 0: 0
    case 1: most
    default: min(most, Int.random(in: 0..<(1 << Int.random(in: 1...62, using: &random)), using: &random))
    }
  }

  private static func wait(_ name: String, _ text: String) -> Duration? {
    RetryHint.wait(HTTPClient.Response(429, "", [(name, text)]), now: now)
  }

  @Test("Every count of seconds in Retry-After is read as it was written, up to a day")
  func seconds() {
    var random = SeededGenerator(seed: 1)
    for _ in 0..<5000 {
      let seconds = Self.number(upTo: .max, &random)
      let text = String(repeating: "0", count: Int.random(in: 0...2, using: &random)) + "\(seconds)"
      #expect(Self.wait("retry-after", text) == .seconds(min(seconds, Self.day)), "\(text)")
    }
  }

  @Test("Every reset time is read as it was written, within now and a day")
  func resetTimes() {
    var random = SeededGenerator(seed: 2)
    for number in 0..<5000 {
      let time =
        number.isMultiple(of: 2)
        ? Self.now + Int.random(in: -2 * Self.day...2 * Self.day, using: &random)
        : max(1, Self.number(upTo: .max, &random))
      let expected = min(max(0, time - Self.now), Self.day)
      #expect(Self.wait("x-ratelimit-reset", "\(time)") == .seconds(expected), "\(time)")
    }
  }

  @Test(
    "Every date in Retry-After is read as it was written, in each of HTTP's formats (RFC 9110 §5.6.7)",
    arguments: ["EEE, dd MMM yyyy HH:mm:ss 'GMT'", "EEEE, dd-MMM-yy HH:mm:ss 'GMT'", "EEE MMM d HH:mm:ss yyyy"])
  func dates(_ format: String) {
    var random = SeededGenerator(seed: 3)
    let formatter = DateFormatter()
    formatter.locale = Locale(identifier: "en_US_POSIX")
    formatter.timeZone = TimeZone(secondsFromGMT: 0)
    formatter.dateFormat = format
    for number in 0..<2000 {
      let reach = number.isMultiple(of: 2) ? 2 * Self.day : 3650 * Self.day
      let wait = Int.random(in: -reach...reach, using: &random)
      var text = formatter.string(from: Date(timeIntervalSince1970: Double(Self.now + wait)))
      // As asctime pads the day.
      if format.contains("MMM d "), text.split(separator: " ")[2].count == 1 {
        text.insert(" ", at: text.index(text.startIndex, offsetBy: 8))
      }
      #expect(Self.wait("retry-after", text) == .seconds(min(max(0, wait), Self.day)), "\(text)")
    }
  }

  /// A bucket as the header may say it, and how it is written.
  private static func bucket(_ random: inout SeededGenerator) -> (QuotaBucket, String) {
    let letters = (0x21..<0x7F).map { Character(UnicodeScalar($0)) }.filter { !";,=".contains($0) }
    let name = String((0..<Int.random(in: 1...32, using: &random)).map { _ in random.pick(letters) })
    let numbers = (0..<3).map { _ in number(upTo: Int(Int32.max), &random) }
    var parts = ["b=\(name)", "q=\(numbers[0])", "r=\(numbers[1])", "t=\(numbers[2])"].shuffled(using: &random)
    if Bool.random(using: &random) { parts.append("x=\(number(upTo: .max, &random))") }
    let bucket = QuotaBucket(
      name: name, quota: numbers[0], remaining: numbers[1], resetsIn: .seconds(numbers[2]))
    return (bucket, parts.joined(separator: random.pick([";", "; ", " ; "])))
  }

  @Test("Every list of quota buckets is read as it was written, in any order of its parts, up to eight of them")
  func quotas() {
    var random = SeededGenerator(seed: 4)
    for _ in 0..<5000 {
      let buckets = (0..<Int.random(in: 0...10, using: &random)).map { _ in Self.bucket(&random) }
      let text = buckets.map(\.1).joined(separator: random.pick([",", ", "]))
      #expect(QuotaBucket.parse(text) == buckets.prefix(8).map(\.0), "\(text)")
      let exhausted = buckets.prefix(8).map(\.0).filter { $0.remaining == 0 }.map(\.resetsIn).max()
      #expect(Self.wait("auth0-client-quota-limit", text) == exhausted.map { min($0, RetryHint.longest) }, "\(text)")
    }
  }

  @Test("A text that is neither digits nor a date says nothing, nor does a bucket without one of its numbers")
  func garbage() {
    var random = SeededGenerator(seed: 5)
    let letters = (0x20..<0x7F).map { Character(UnicodeScalar($0)) } + ["é", "\u{0}", "\r", "１", "\u{FEFF}"]
    for _ in 0..<5000 {
      // The last three are dates to a reader that takes more than HTTP's formats.
      let start = random.pick(["-", "+", "x", ".", "0x", "１", "1 Jan 2050", "2050-01-01", "20500101 00:00:00"])
      let text = start + random.text(of: letters, upTo: random.pick([0, 30]))
      #expect(Self.wait("retry-after", text) == nil, "\(text)")
      #expect(Self.wait("x-ratelimit-reset", text) == nil, "\(text)")
      let (_, whole) = Self.bucket(&random)
      let parts = whole.split(separator: ";").filter { !$0.contains("x=") }.shuffled(using: &random)
      #expect(QuotaBucket.parse(parts.dropLast().joined(separator: ";")).isEmpty, "\(whole)")
      let name = random.pick(["q=", "r=", "t="])
      let negative = whole.replacingOccurrences(of: name, with: name + "-1")
      #expect(QuotaBucket.parse(negative).isEmpty, "\(negative)")
    }
  }

  @Test("No text, however near to a good one, makes the readers give more than a bounded wait and printable buckets")
  func anyText() {
    var random = SeededGenerator(seed: 6)
    let pieces = [
      "b=", "q=", "r=0", "t=", ";", ",", "=", "1", "9999999999", "-", "Mon, ", "Jan", " ", "\u{0}", "é", "GMT",
      "00:00:00", "e5", "b=a;q=1;r=0;t=", "Sat, 01 Jan 2050 00:00:00 GMT", "99999999999999999999", "+", "2147483647",
    ]
    for _ in 0..<20_000 {
      let text = random.text(of: pieces, upTo: 10)
      for name in ["retry-after", "x-ratelimit-reset", "auth0-client-quota-limit", "auth0-organization-quota-limit"] {
        guard let wait = Self.wait(name, text) else { continue }
        #expect(wait >= .zero && wait <= RetryHint.longest, "\(name): \(text)")
      }
      let buckets = QuotaBucket.parse(text)
      #expect(buckets.count <= 8, "\(text)")
      for bucket in buckets {
        #expect(bucket.quota >= 0 && bucket.remaining >= 0, "\(text)")
        #expect(bucket.resetsIn >= .zero && bucket.resetsIn <= .seconds(Int32.max), "\(text)")
        #expect(
          (1...32).contains(bucket.name.count) && bucket.name.utf8.allSatisfy { $0 > 0x1F && $0 < 0x7F }, "\(text)")
      }
    }
  }
}
