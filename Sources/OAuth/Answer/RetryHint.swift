import Basics
import HTTPClient

/// What a server says about when to ask again.
enum RetryHint {
  /// The most that is waited, whatever a header says.
  static let longest = Duration.seconds(86400)

  /// The wait that an answer's headers ask for; nil if they say nothing that makes sense. `now` is a Unix time.
  static func wait(_ response: HTTPClient.Response, now: Int) -> Duration? {
    if let text = response.field("retry-after"), let wait = retryAfter(text, now: now) { return wait }
    let reset = response.field("x-ratelimit-reset").flatMap { rateLimitReset($0, now: now) }
    if isRateLimit(response), let reset { return reset }
    let exhausted = QuotaBucket.all(in: response).filter { $0.remaining == 0 }.map(\.resetsIn).max()
    return exhausted.map { min($0, longest) } ?? reset
  }

  /// Whether the server's limit on the rate is reached. A quota at zero then says nothing, for it may be one that is
  /// only watched.
  static func isRateLimit(_ response: HTTPClient.Response) -> Bool { response.field("x-ratelimit-remaining") == "0" }

  /// `Retry-After` in seconds or as a date (RFC 9110 §10.2.3).
  static func retryAfter(_ text: String, now: Int) -> Duration? {
    if !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) {
      return min(.seconds(Int(text) ?? Int(Int32.max)), longest)
    }
    // Only a date starts with the name of a day; curl_getdate would read much else as one.
    guard ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"].contains(where: text.hasPrefix) else { return nil }
    return HTTPDate.seconds(text).map { min(max(.zero, .seconds($0 - now)), longest) }
  }

  /// `X-RateLimit-Reset`: Unix time in seconds.
  static func rateLimitReset(_ text: String, now: Int) -> Duration? {
    guard text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let time = Int(text), time > 0 else { return nil }
    return min(max(.zero, .seconds(time - now)), longest)
  }
}

/// What is left of one of a client's or organization's allotments.
package struct QuotaBucket: Sendable, Equatable {
  /// `per_hour`, `per_day`, …
  package let name: String
  package let quota: Int
  package let remaining: Int
  package let resetsIn: Duration
  /// Whether it is the organization's that was asked for, not the client's.
  package let isOfOrganization: Bool

  package init(name: String, quota: Int, remaining: Int, resetsIn: Duration, isOfOrganization: Bool = false) {
    self.name = name
    self.quota = quota
    self.remaining = remaining
    self.resetsIn = resetsIn
    self.isOfOrganization = isOfOrganization
  }

  static func all(in response: HTTPClient.Response) -> [QuotaBucket] {
    (response.field("auth0-client-quota-limit").map { parse($0) } ?? [])
      + (response.field("auth0-organization-quota-limit").map { parse($0, isOfOrganization: true) } ?? [])
  }

  /// Reads `b=per_hour;q=10;r=7;t=3540,b=per_day;…`. A bucket that lacks one of these is left out.
  static func parse(_ text: String, isOfOrganization: Bool = false) -> [QuotaBucket] {
    let bytes = text.utf8.filter { $0 != UInt8(ascii: " ") }
    return bytes.split(separator: UInt8(ascii: ",")).prefix(8).compactMap { bucket($0, isOfOrganization) }
  }

  private static func bucket(_ text: ArraySlice<UInt8>, _ isOfOrganization: Bool) -> QuotaBucket? {
    var (name, quota, remaining, seconds): (String?, Int?, Int?, Int?)
    for pair in text.split(separator: UInt8(ascii: ";")) where pair.dropFirst().first == UInt8(ascii: "=") {
      let value = pair.dropFirst(2)
      switch pair.first {
      case UInt8(ascii: "b"): name = String(decoding: value, as: UTF8.self)
      case UInt8(ascii: "q"): quota = number(value)
      case UInt8(ascii: "r"): remaining = number(value)
      case UInt8(ascii: "t"): seconds = number(value)
      default: break
      }
    }
    guard let name, !name.isEmpty, let quota, let remaining, let seconds else { return nil }
    return QuotaBucket(
      name: PrintableText.text(name, limit: 32), quota: quota, remaining: remaining,
      resetsIn: .seconds(seconds), isOfOrganization: isOfOrganization)
  }

  private static func number(_ digits: ArraySlice<UInt8>) -> Int? {
    guard let number = Int32(String(decoding: digits, as: UTF8.self)), number >= 0 else { return nil }
    return Int(number)
  }
}
