import Basics
import Glibc
import Testing

@Suite struct UTCDateTests {
  @Test(
    "A Unix time is the date that RFC 9110 and RFC 3339 write",
    arguments: [
      (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT", "1994-11-06T08:49:37", "19941106T084937Z"),
      (0, "Thu, 01 Jan 1970 00:00:00 GMT", "1970-01-01T00:00:00", "19700101T000000Z"),
      (-1, "Wed, 31 Dec 1969 23:59:59 GMT", "1969-12-31T23:59:59", "19691231T235959Z"),
      (951_827_696, "Tue, 29 Feb 2000 12:34:56 GMT", "2000-02-29T12:34:56", "20000229T123456Z"),
      (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT", "2100-03-01T00:00:00", "21000301T000000Z"),
      (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT", "9999-12-31T23:59:59", "99991231T235959Z"),
    ])
  func texts(_ seconds: Int, _ http: String, _ dateAndTime: String, _ compact: String) {
    let date = UTCDate(seconds)
    #expect(date.httpDate == http)
    #expect(date.dateAndTime == dateAndTime)
    #expect(date.compact == compact)
  }

  @Test("Every day of a thousand years is the one that the C library says")
  func days() {
    for day in -150_000..<250_000 {
      var seconds = day * 86_400 + (day & 0xFFFF)
      var parts = unsafe tm()
      unsafe gmtime_r(&seconds, &parts)
      let date = UTCDate(seconds)
      let isSame =
        unsafe date.year == Int(parts.tm_year) + 1900 && date.month == Int(parts.tm_mon) + 1
        && date.day == Int(parts.tm_mday) && date.weekday == Int(parts.tm_wday) && date.hour == Int(parts.tm_hour)
        && date.minute == Int(parts.tm_min) && date.second == Int(parts.tm_sec)
      if !isSame { Issue.record("\(seconds): \(date)") }
    }
  }

  @Test("Months are counted on over the end of a year")
  func monthCount() {
    #expect(UTCDate(1_767_225_599).monthCount == 12 * 2025 + 11)
    #expect(UTCDate(1_767_225_600).monthCount == 12 * 2026)
  }

  @Test("The ends of the range have a date", arguments: [Int.min, Int.max])
  func extremes(_ seconds: Int) {
    let date = UTCDate(seconds)
    #expect((1...12).contains(date.month) && (1...31).contains(date.day) && (0...6).contains(date.weekday))
  }
}
