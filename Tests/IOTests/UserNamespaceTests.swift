import Testing

@testable import IO

/// Which ids tell nobody apart.
@Suite struct UserNamespaceTests {
  @Test(
    "Where all ids are mapped, none stands for others",
    arguments: [
      "         0          0 4294967295\n", "0 100000 65536\n65536 200000 4294901759\n",
    ])
  func whole(_ map: String) { #expect(UserNamespace.standIn(map: map, overflow: "65534\n") == nil) }

  @Test(
    "Where some are not, or nobody can tell, the kernel's stand-in does",
    arguments: [
      ("0 1000 1\n", "65534\n", 65534), ("0 1000 65536\n", "12345\n", 12345), ("", "", 65534),
    ] as [(String, String, UInt32)])
  func partial(_ map: String, _ overflow: String, _ expected: UInt32) {
    #expect(UserNamespace.standIn(map: map, overflow: overflow) == expected)
  }
}
