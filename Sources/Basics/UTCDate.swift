/// A Unix time as date and time of day in UTC, in the Gregorian calendar.
package struct UTCDate: Sendable, Equatable {
  package let year: Int
  /// From 1 to 12.
  package let month: Int
  /// From 1 to 31.
  package let day: Int
  /// From 0 for Sunday to 6.
  package let weekday: Int
  package let hour: Int
  package let minute: Int
  package let second: Int

  /// `seconds` is a Unix time.
  package init(_ seconds: Int) {
    let timeOfDay = Self.remainder(seconds, 86_400)
    let days = seconds / 86_400 - (seconds % 86_400 < 0 ? 1 : 0)
    (hour, minute, second) = (timeOfDay / 3600, timeOfDay / 60 % 60, timeOfDay % 60)
    // 1970 began with a Thursday.
    weekday = Self.remainder(days + 4, 7)
    // Counted in years that begin with March, a leap day is the last of its year: all repeats after 400 of them.
    let sinceMarch = days + 719_468
    let dayOfEra = Self.remainder(sinceMarch, 146_097)
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    // Five months of alternately 31 and 30 days have 153.
    let monthFromMarch = (5 * dayOfYear + 2) / 153
    day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
    month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
    year = (sinceMarch - dayOfEra) / 146_097 * 400 + yearOfEra + (month <= 2 ? 1 : 0)
  }

  /// What is left when divided and rounded down: never negative.
  private static func remainder(_ number: Int, _ divisor: Int) -> Int {
    let rest = number % divisor
    return rest < 0 ? rest + divisor : rest
  }
}

extension UTCDate {
  /// The months since the beginning of year 0.
  package var monthCount: Int { 12 * year + month - 1 }

  /// As HTTP has it, such as `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 §5.6.7).
  package var httpDate: String {
    let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    let date = "\(days[weekday]), \(Self.padded(day)) \(months[month - 1]) \(Self.padded(year, 4))"
    return "\(date) \(time(":")) GMT"
  }

  /// To the second and without its zone, such as `1994-11-06T08:49:37`, so that a fraction and `Z` may follow
  /// (RFC 3339 §5.6).
  package var dateAndTime: String { "\(date("-"))T\(time(":"))" }

  /// Such as `19941106T084937Z`, for names of files (ISO 8601, basic format).
  package var compact: String { "\(date(""))T\(time(""))Z" }

  private func date(_ separator: String) -> String {
    [Self.padded(year, 4), Self.padded(month), Self.padded(day)].joined(separator: separator)
  }

  private func time(_ separator: String) -> String {
    [Self.padded(hour), Self.padded(minute), Self.padded(second)].joined(separator: separator)
  }

  private static func padded(_ number: Int, _ width: Int = 2) -> String {
    let digits = "\(number)"
    return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
  }
}
