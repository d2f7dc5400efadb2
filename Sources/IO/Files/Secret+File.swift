package import Basics

extension Secret {
  private static let maxFileBytes = 64 << 10

  /// The whole of a file of at most 64 KiB, with nothing of it left in another buffer. White space at its end is
  /// dropped.
  package convenience init(file path: String) throws(FileError) {
    let (contents, failure) = Self.read(path)
    if let failure { throw FileError(reason: failure.reason) }
    if contents.count > Self.maxFileBytes { throw FileError(reason: "it is over 64 KiB") }
    let used = contents.withBytes { bytes in bytes.indices.last { bytes[$0] > 0x20 }.map { $0 + 1 } ?? 0 }
    self.init(capacity: used) { writer in
      contents.withBytes { bytes in
        for index in 0..<used { writer.append(bytes[index]) }
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
              for place in start..<index { writer.append(bytes[place]) }
            })
        }
        start = index + 1
      }
      return lines
    }
  }

  /// As much as fits of what the file has, and why that may not be all.
  private static func read(_ path: String) -> (contents: Secret, failure: SystemError?) {
    var failure: SystemError?
    let contents = Secret(capacity: maxFileBytes + 1) { writer in
      do throws(SystemError) {
        let file = try SystemCall.open(path, .reading)
        var count = 0
        repeat {
          count = try unsafe writer.append { room throws(SystemError) in try unsafe SystemCall.read(file, into: room) }
        } while count > 0
      } catch {
        failure = error
      }
    }
    return (contents, failure)
  }
}
