import Testing

@testable import IO
@testable import Stores

@Suite struct StoreDirectoryTests {
  @Test(
    "The directory of a path is what lies before its last slash",
    arguments: [("/a/b/tokens", "/a/b"), ("/tokens", "/"), ("tokens", "."), ("a/tokens", "a")])
  func parent(_ file: String, _ directory: String) {
    #expect(StoreDirectory(of: file).path == directory)
  }

  private struct Case: CustomTestStringConvertible {
    let testDescription: String
    var owner: UInt32 = 1000
    var mode: UInt32 = 0o755
    var isMount = false
    let objection: String?
  }

  @Test(
    "A directory is refused if other users can remove files in it, unless it is a mount point",
    arguments: [
      Case(testDescription: "its own, readable", objection: nil),
      Case(testDescription: "its own, private", mode: 0o700, objection: nil),
      Case(testDescription: "root's", owner: 0, objection: nil),
      Case(testDescription: "another's", owner: 1001, objection: "its directory belongs to user 1001"),
      Case(
        testDescription: "open to all", mode: 0o777,
        objection: "others than its owner can write to its directory (mode 0777)"),
      Case(
        testDescription: "open to its group", owner: 0, mode: 0o2775,
        objection: "others than its owner can write to its directory (mode 02775)"),
      Case(testDescription: "like /tmp", owner: 0, mode: 0o1777, objection: nil),
      Case(testDescription: "an emptyDir", owner: 0, mode: 0o777, isMount: true, objection: nil),
      Case(testDescription: "an emptyDir with an fsGroup", owner: 0, mode: 0o2777, isMount: true, objection: nil),
    ])
  private func objections(_ example: Case) {
    let found = FileStatus(mode: example.mode, owner: example.owner)
    let parent = FileStatus(device: example.isMount ? 1 : 0, mode: 0o755)
    #expect(StoreDirectory.objection(to: found, below: parent, user: 1000) == example.objection)
  }
}
