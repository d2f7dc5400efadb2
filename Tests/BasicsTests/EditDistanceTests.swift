import Basics
import Testing

@Suite struct EditDistanceTests {
  @Test(
    "The distance is the number of letters put in, left out, changed or swapped",
    arguments: [
      ("", "", 0), ("", "ab", 2), ("abc", "abc", 0), ("abc", "acb", 1), ("listenn", "listen", 1), ("a", "b", 1),
    ])
  func distance(_ left: String, _ right: String, _ distance: Int) {
    #expect(EditDistance.between(left, right) == distance && EditDistance.between(right, left) == distance)
  }

  @Test("The nearest word within the limit is found, of two equally near ones the first by name")
  func nearest() {
    #expect(EditDistance.nearest(to: "chek", among: ["serve", "check"]) { _ in 1 } == "check")
    #expect(EditDistance.nearest(to: "ac", among: ["ab", "aa"]) { _ in 1 } == "aa")
    #expect(EditDistance.nearest(to: "chek", among: ["serve", "token"]) { _ in 1 } == nil)
  }
}
