import Testing

@testable import Stores

@Suite struct FenceTests {
  @Test("No two claims have the same fencing value")
  func unique() {
    let fences = (0..<1000).map { _ in Fence.next() }
    #expect(Set(fences).count == 1000)
  }
}
