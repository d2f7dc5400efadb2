import Testing

@testable import BrokerCore

@Suite struct UpstreamIDTests {
  @Test("Those with credentials of their own are told apart from a client that is called as they are shown")
  func names() {
    let client = UpstreamID("x")
    #expect(client.passThrough.name == "x (pass-through)" && client.passThrough.isOf("x") && client.isOf("x"))
    let other = UpstreamID("x (pass-through)")
    #expect(!other.isOf("x") && other != client.passThrough)
  }
}
