import Testing

@testable import HTTPServer

@Suite struct EightBytesTests {
  /// Every byte at every place among eight others that let it be found.
  private static let places = (UInt8.min...UInt8.max).flatMap { byte in (0..<8).map { (byte, $0) } }

  private func bytes(_ byte: UInt8, at place: Int, behind other: UInt8) -> [UInt8] {
    // What follows is marked whatever is looked for, and must not hide what is in front of it.
    [UInt8](repeating: UInt8(ascii: "a"), count: place) + [byte] + [UInt8](repeating: other, count: 7 - place)
  }

  @Test("The first byte that is no visible ASCII is found wherever it is", arguments: [0x00, 0x61, 0x7f, 0x80, 0xff])
  func notVisible(_ other: UInt8) {
    for (byte, place) in Self.places {
      let bytes = bytes(byte, at: place, behind: other)
      let eight = EightBytes(bytes.span, at: 0)
      #expect(eight.firstNotVisible() == bytes.firstIndex { !Octet.isVisible($0) }, "\(byte) at \(place)")
      let other = bytes.firstIndex { !Octet.isVisible($0) && $0 != Octet.space }
      #expect(eight.firstNotVisible(orSpace: true) == other, "\(byte) at \(place)")
    }
  }

  @Test("The first byte that ends a path is found wherever it is", arguments: [0x00, 0x23, 0x3f, 0x61, 0xff])
  func path(_ other: UInt8) {
    for (byte, place) in Self.places {
      let bytes = bytes(byte, at: place, behind: other)
      let found = EightBytes(bytes.span, at: 0).firstNotOfPath
      #expect(found == bytes.firstIndex { !Octet.isOfPath($0) }, "\(byte) at \(place)")
    }
  }

  @Test("A byte is found wherever it is", arguments: [0x00, 0x0c, 0x0e, 0xff])
  func equal(_ other: UInt8) {
    for place in 0..<8 {
      let bytes = bytes(Octet.carriageReturn, at: place, behind: other)
      #expect(EightBytes(bytes.span, at: 0).first(Octet.carriageReturn) == place)
    }
    #expect(EightBytes(bytes(other, at: 0, behind: other).span, at: 0).first(Octet.carriageReturn) == nil)
  }

  @Test("What is looked for is found behind any number of bytes, and close to the end", arguments: 0...20)
  func search(_ count: Int) {
    for rest in 0...9 {
      let bytes = Array((String(repeating: "a", count: count) + "?\r" + String(repeating: "b", count: rest)).utf8)
      #expect(bytes.span.endOfPath(from: 0) == count)
      #expect(bytes.span.position(of: Octet.carriageReturn, from: 0) == count + 1)
    }
  }
}
