import Foundation
import TestSupport
import Testing

@testable import IO

@Suite struct ThisProcessTests {
  /// Kilobytes of code that are in the process's memory.
  private var residentCode: Int {
    var (isCode, sum) = (false, 0)
    let smaps = (try? FileHandle(forReadingAtPath: "/proc/self/smaps")?.readToEnd()) ?? Data()
    for line in String(decoding: smaps, as: UTF8.self).split(separator: "\n") {
      let words = line.split(separator: " ")
      if words.first?.last != ":" { isCode = words[1] == "r-xp" && words.count > 5 }
      if isCode, words[0] == "Rss:" { sum += Int(words[1]) ?? 0 }
    }
    return sum
  }

  @Test(
    "Code leaves the memory when it is given back, and is there again when it is run",
    .disabled(if: Sanitizer.isOn, "a sanitizer maps code in ways of its own"))
  func code() {
    let before = residentCode
    ThisProcess.releaseStartMemory()
    let after = residentCode
    #expect(0 < after && after < before)
  }
}
