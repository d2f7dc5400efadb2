import Testing

@testable import IO

@Suite struct ByteBufferTests {
  @Test("Numbers are written in decimal", arguments: [0, 9, 10, 99, 100, 86_399, UInt64.max])
  func decimal(_ number: UInt64) {
    var buffer = ByteBuffer()
    buffer.append("=")
    buffer.append(decimal: number)
    let text = buffer.withBytes { bytes in String(decoding: bytes.indices.map { bytes[$0] }, as: UTF8.self) }
    #expect(text == "=\(number)")
    #expect(ByteBuffer.digits(of: number) == "\(number)".count)
  }

  @Test("Nothing is appended to a buffer without memory as to any other")
  func nothing() {
    var buffer = ByteBuffer()
    var bytes: [UInt8] = [1]
    bytes.removeAll(keepingCapacity: true)
    buffer.append(bytes)
    buffer.append(bytes[...])
    buffer.append(bytes.span)
    buffer.append("")
    #expect(buffer.isEmpty && buffer.capacity == 0)
  }

  @Test("Bytes are consumed in the order in which they were appended")
  func order() {
    var buffer = ByteBuffer()
    var written = 0
    var read = 0
    for step in 0..<2000 {
      let count = step * 7 % 61
      buffer.append((0..<count).map { UInt8(truncatingIfNeeded: written + $0) })
      written += count
      let taken = min(buffer.count, step * 5 % 67)
      buffer.withBytes { bytes in
        for index in 0..<taken { #expect(bytes[index] == UInt8(truncatingIfNeeded: read + index)) }
      }
      buffer.consume(taken)
      read += taken
      let held = buffer.count
      #expect(held == written - read)
    }
  }

  @Test("Only the bytes that the body has written are appended")
  func partialAppend() {
    var buffer = ByteBuffer()
    buffer.append("ab")
    let count = unsafe buffer.append(upTo: 100) { room in
      unsafe room[0] = 0x63
      return 1
    }
    #expect(count == 1)
    buffer.withBytes { #expect($0.count == 3) }
    buffer.consume(3)
    let isEmpty = buffer.isEmpty
    #expect(isEmpty)
  }
}
