import Basics
import Testing

@Suite struct RecentSetTests {
  private var set = RecentSet<Int>(capacity: 10)

  @Test("The last ones that were put in are there, and those before are forgotten, never all at once")
  mutating func bounded() {
    for number in 0..<1000 {
      set.insert(number)
      #expect((max(0, number - 9)...number).allSatisfy(set.contains))
      #expect((0..<max(0, number - 19)).allSatisfy { !set.contains($0) })
    }
  }

  @Test("What is put in again and again stays")
  mutating func renewed() {
    for number in 0..<1000 {
      set.insert(number)
      set.insert(-1)
    }
    #expect(set.contains(-1))
  }

  @Test("What is there already takes no more room")
  mutating func repeated() {
    set.insert(0)
    for _ in 0..<100 { set.insert(1) }
    #expect(set.contains(0))
  }
}
