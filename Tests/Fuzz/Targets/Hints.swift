import HTTPClient

@testable import OAuth

extension FuzzTarget {
  /// When to ask again: a line each of Retry-After, X-RateLimit-Reset, and the quotas of the client and the
  /// organization.
  static let hints = FuzzTarget(name: "hints") { bytes in
    let names = [
      "retry-after", "x-ratelimit-reset", "auth0-client-quota-limit", "auth0-organization-quota-limit",
    ]
    let lines = bytes.split(separator: 10, maxSplits: 3, omittingEmptySubsequences: false)
    let fields = zip(names, lines).filter { !$1.isEmpty }.map { (name: $0, value: String(decoding: $1, as: UTF8.self)) }
    let response = HTTPClient.Response(429, [], fields)
    let now = 1_700_000_000
    let wait = RetryHint.wait(response, now: now)
    try promise("no wait is endless: \(wait ?? .zero)", wait.map { (.zero...RetryHint.longest).contains($0) } ?? true)
    if let text = response.field("retry-after"), !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) {
      let digits = text.drop { $0 == "0" }
      let seconds = digits.count > 5 ? 86400 : min(Int(digits) ?? 0, 86400)
      try promise("\(text) seconds are \(wait ?? .zero)", wait == .seconds(seconds))
    }
    let buckets = QuotaBucket.all(in: response)
    try promise("they are few", buckets.count <= 16)
    for bucket in buckets {
      let isPrintable = bucket.name.utf8.count <= 32 && bucket.name.utf8.allSatisfy { (0x20..<0x7F).contains($0) }
      try promise("a name is printable: \(bucket)", isPrintable && !bucket.name.isEmpty)
      try promise("numbers are", min(bucket.quota, bucket.remaining) >= 0 && bucket.resetsIn >= .zero)
    }
    let ofClient = buckets.filter { !$0.isOfOrganization && !$0.name.contains { " ;=,".contains($0) } }
    let text = ofClient.map {
      "b=\($0.name);q=\($0.quota);r=\($0.remaining);t=\($0.resetsIn.components.seconds)"
    }
    try promise("\(ofClient) are read as written", QuotaBucket.parse(text.joined(separator: ",")) == ofClient)

    // A time that is somewhere in these bytes, written as a date.
    let seconds = Int(bytes.prefix(4).reduce(UInt32(0)) { $0 << 8 | UInt32($1) })
    let expected = min(max(0, seconds - now), 86400)
    try promise(
      "\(date(seconds)) is \(expected) seconds ahead",
      RetryHint.retryAfter(date(seconds), now: now) == .seconds(expected))
  }

  /// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 §5.6.7), counted out from 1970.
  private static func date(_ seconds: Int) -> String {
    func isLeap(_ year: Int) -> Bool { year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) }
    var (day, year, month) = (seconds / 86400, 1970, 0)
    let name = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"][day % 7]
    while day >= (isLeap(year) ? 366 : 365) {
      day -= isLeap(year) ? 366 : 365
      year += 1
    }
    let lengths = [31, isLeap(year) ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    while day >= lengths[month] {
      day -= lengths[month]
      month += 1
    }
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    func two(_ number: Int) -> String { (number < 10 ? "0" : "") + "\(number)" }
    let time = [seconds / 3600 % 24, seconds / 60 % 60, seconds % 60].map(two).joined(separator: ":")
    return "\(name), \(two(day + 1)) \(months[month]) \(year) \(time) GMT"
  }
}
