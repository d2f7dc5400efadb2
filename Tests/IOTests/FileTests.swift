import Testing

@testable import IO

@Suite struct FileTests {
  private let directory: Directory

  init() throws { directory = try Directory() }

  private func write(_ count: Int) throws {
    let file = try SystemCall.open(directory.socketPath, [.writing, .creating], mode: 0o600)
    try SystemCall.write([UInt8](repeating: 7, count: count), to: file)
  }

  @Test("A file of up to 1 MiB is read as a whole", arguments: [0, 1, 1 << 18, 1 << 20])
  func whole(_ count: Int) throws {
    try write(count)
    #expect(try File.read(directory.socketPath) == [UInt8](repeating: 7, count: count))
  }

  @Test("A larger file is refused")
  func tooLarge() throws {
    try write((1 << 20) + 1)
    let error = #expect(throws: FileError.self) { try File.read(directory.socketPath) }
    #expect(error?.reason == "it is over 1 MiB")
  }

  @Test("A missing file and a directory are refused in the system's words")
  func unreadable() {
    let missing = #expect(throws: FileError.self) { try File.read(directory.socketPath) }
    #expect(missing?.reason == "No such file or directory")
    let folder = #expect(throws: FileError.self) { try File.read(directory.path) }
    #expect(folder?.reason == "Is a directory")
    #expect(File.digest(directory.socketPath) == nil)
  }

  @Test(
    "A file is readable by others where its permissions and those of its directory say so",
    arguments: [(0o604, 0o701, true), (0o600, 0o701, false), (0o640, 0o701, false), (0o604, 0o700, false)]
      as [(UInt32, UInt32, Bool)])
  func readableByOthers(_ file: UInt32, _ folder: UInt32, _ isReadable: Bool) throws {
    try write(1)
    try SystemCall.setMode(of: directory.socketPath, file)
    try SystemCall.setMode(of: directory.path, folder)
    #expect(File.isReadableByOthers(directory.socketPath) == isReadable)
    #expect(!File.isReadableByOthers(directory.path) && !File.isReadableByOthers(directory.socketPath + "/none"))
  }
}
