import Testing

@testable import HTTPServer

@Suite struct LimitsTests {
  @Test(
    "Connections get what descriptors leave to each address, but not those that the loops have",
    arguments: [
      (descriptors: 1 << 20, loops: 2, addresses: 2, connections: 10_000, reserve: 128),
      (4096, 2, 2, 1408, 128),
      (1024, 2, 2, 192, 64),
      (1024, 128, 2, 39, 13),
      (Limits.leastDescriptors(loops: 2, addresses: 2), 2, 2, 6, 2),
    ])
  func fit(descriptors: Int, loops: Int, addresses: Int, connections: Int, reserve: Int) {
    var limits = Limits()
    limits.fit(descriptors: descriptors, loops: loops, addresses: addresses)
    #expect(limits.connections == connections && limits.reserve == reserve)
  }
}
