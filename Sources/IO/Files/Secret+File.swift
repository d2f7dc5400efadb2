package import Basics
import Glibc

extension Secret {
  /// A file that cannot be read, or holds more than a secret can be: why, in the system's words.
  package struct Unreadable: Error {
    package let reason: String
  }

  private static let maxFileBytes = 64 << 10

  /// The whole of a file of at most 64 KiB, with nothing of it left in another buffer. White space at its end is dropped.
  package convenience init(file path: String) throws(Unreadable) {
    let file = unsafe open(path, O_RDONLY | O_CLOEXEC)
    if file < 0 { throw Unreadable(reason: Self.systemError) }
    defer { close(file) }
    var count = 0
    let contents = Secret(capacity: Self.maxFileBytes + 1) { writer in count = writer.append(from: file) }
    if count < 0 { throw Unreadable(reason: Self.systemError) }
    if count > Self.maxFileBytes { throw Unreadable(reason: "it is over 64 KiB") }
    let used = contents.withBytes { bytes in
      bytes.indices.last { bytes[$0] > 0x20 }.map { $0 + 1 } ?? 0
    }
    self.init(capacity: used) { writer in
      contents.withBytes { bytes in
        for index in 0..<used { writer.append(CollectionOfOne(bytes[index])) }
      }
    }
  }

  /// The lines that are not empty, each a secret of its own.
  package var lines: [Secret] {
    withBytes { bytes in
      var lines: [Secret] = []
      var start = 0
      for index in 0...bytes.count where index == bytes.count || bytes[index] == 0x0A || bytes[index] == 0x0D {
        if index > start {
          lines.append(
            Secret(capacity: index - start) { writer in
              for place in start..<index { writer.append(CollectionOfOne(bytes[place])) }
            })
        }
        start = index + 1
      }
      return lines
    }
  }

  private static var systemError: String { unsafe String(cString: strerror(errno)) }
}
