import Basics

/// Decodes a chunked body in place (RFC 9112 §7.1): data moves down over the framing between it.
///
/// Chunk extensions are passed over, where no byte in them could end a line for anybody. Trailer fields are checked for
/// shape and dropped, never merged into the header.
struct ChunkedDecoder: Equatable {
  private enum State: Equatable {
    case size(digits: Int)
    /// Space behind a size: only an extension may follow.
    case sizeSpace
    case sizeExtension
    case sizeEnd
    case data(remaining: Int)
    case dataEnd
    case dataEndLF
    case trailer(Trailer)
    case trailerLF(Trailer)
    case done
  }

  /// Where in a trailer line the decoder is.
  private enum Trailer: Equatable {
    case start, name, value

    func next(_ byte: UInt8) throws(Rejection) -> Trailer {
      switch self {
      case .start where Octet.isToken(byte), .name where Octet.isToken(byte): return .name
      case .name where byte == UInt8(ascii: ":"), .value where Octet.isFieldValue(byte): return .value
      default: throw .malformed("a trailer line is no field")
      }
    }
  }

  private var state = State.size(digits: 0)
  private var size = 0
  private var trailerBytes = 0
  /// Everything before this position has been read.
  private(set) var position: Int
  /// The decoded body so far.
  private(set) var body: Range<Int>

  private static let trailerLimit = 4096

  /// The coded body starts at `start` of the bytes that `decode` will be given.
  init(start: Int) {
    position = start
    body = start..<start
  }

  /// True when the body is whole; false while more is needed.
  mutating func decode(_ bytes: inout MutableSpan<UInt8>, limit: Int) throws(Rejection) -> Bool {
    while position < bytes.count, state != .done {
      if case .data(let remaining) = state {
        let count = min(remaining, bytes.count - position)
        for offset in 0..<count { bytes[body.upperBound + offset] = bytes[position + offset] }
        body = body.lowerBound..<body.upperBound + count
        position += count
        state = count == remaining ? .dataEnd : .data(remaining: remaining - count)
      } else {
        try step(bytes[position], limit: limit)
        position += 1
      }
    }
    return state == .done
  }

  private mutating func step(_ byte: UInt8, limit: Int) throws(Rejection) {
    switch state {
    case .size(let digits):
      if let value = Hex.value(byte), digits < 8 {
        size = size << 4 | Int(value)
        state = .size(digits: digits + 1)
      } else {
        guard digits > 0 else { throw .malformed("a chunk size is no plain hex number") }
        state = byte == Octet.carriageReturn ? .sizeEnd : try behindSize(byte)
      }
    case .sizeSpace where isOverhead(limit), .sizeExtension where isOverhead(limit): throw .bodyTooLarge
    case .sizeSpace: state = try behindSize(byte)
    case .sizeExtension:
      if byte == Octet.carriageReturn {
        state = .sizeEnd
      } else if !Octet.isFieldValue(byte) {
        throw .malformed("a control byte in a chunk extension")
      }
    case .sizeEnd:
      guard byte == Octet.lineFeed else { throw .malformed("a CR without LF") }
      if size > limit - body.count || isOverhead(limit) { throw .bodyTooLarge }
      state = size == 0 ? .trailer(.start) : .data(remaining: size)
      size = 0
    case .dataEnd:
      guard byte == Octet.carriageReturn else { throw .malformed("chunk data is not followed by CR LF") }
      state = .dataEndLF
    case .dataEndLF:
      guard byte == Octet.lineFeed else { throw .malformed("chunk data is not followed by CR LF") }
      state = .size(digits: 0)
    case .trailer(let part):
      trailerBytes += 1
      if trailerBytes > Self.trailerLimit { throw .headTooLarge }
      state = byte == Octet.carriageReturn ? .trailerLF(part) : .trailer(try part.next(byte))
    case .trailerLF(let part):
      guard byte == Octet.lineFeed, part != .name else { throw .malformed("a trailer line is no field") }
      state = part == .start ? .done : .trailer(.start)
    case .data, .done: preconditionFailure("handled by decode")
    }
  }

  /// What may stand between a size and its CR LF: space, then an extension (RFC 9112 §7.1.1).
  private func behindSize(_ byte: UInt8) throws(Rejection) -> State {
    if Octet.isSpace(byte) { return .sizeSpace }
    if byte == UInt8(ascii: ";") { return .sizeExtension }
    throw .malformed("a chunk size is no plain hex number")
  }

  /// Tiny chunks, and what stands behind their sizes, must not make the buffer grow far beyond what the chunks carry.
  private func isOverhead(_ limit: Int) -> Bool { position - body.lowerBound > 2 * limit + 1024 }
}
