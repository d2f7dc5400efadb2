/// Bytes between a reader and a writer: appended at the end, consumed from the front. Holds no memory while unused.
@safe package struct ByteBuffer: ~Copyable {
  // Usable from inline: the closures below are called for every request, and across modules only inlining specialises
  // them.
  @usableFromInline var storage = unsafe UnsafeMutableRawBufferPointer(start: nil, count: 0)
  @usableFromInline var start = 0
  @usableFromInline var end = 0

  package init() {}

  deinit { unsafe storage.deallocate() }

  /// Bytes of memory held.
  package var capacity: Int { unsafe storage.count }
  @inlinable package var count: Int { end - start }
  @inlinable package var isEmpty: Bool { start == end }

  package mutating func append(_ bytes: Span<UInt8>) {
    reserve(bytes.count)
    unsafe bytes.withUnsafeBytes { source in
      unsafe UnsafeMutableRawBufferPointer(rebasing: storage[end...]).copyMemory(from: source)
    }
    end += bytes.count
  }

  package mutating func append(_ bytes: [UInt8]) { append(bytes.span) }

  package mutating func append(_ bytes: ArraySlice<UInt8>) { append(bytes.span) }

  /// Appends once more what `range` of the bytes holds.
  package mutating func append(copyOf range: Range<Int>) {
    precondition(range.lowerBound >= 0 && range.upperBound <= count)
    reserve(range.count)
    let source = unsafe UnsafeRawBufferPointer(rebasing: storage[start + range.lowerBound..<start + range.upperBound])
    unsafe UnsafeMutableRawBufferPointer(rebasing: storage[end...]).copyMemory(from: source)
    end += range.count
  }

  package mutating func append(_ text: StaticString) { text.withUTF8Buffer { unsafe append($0.span) } }

  /// Appends `number` in decimal digits.
  package mutating func append(decimal number: UInt64) {
    let count = Self.digits(of: number)
    reserve(count)
    var rest = number
    for position in stride(from: end + count - 1, through: end, by: -1) {
      unsafe storage[position] = UInt8(ascii: "0") + UInt8(rest % 10)
      rest /= 10
    }
    end += count
  }

  /// How many decimal digits `number` has.
  package static func digits(of number: UInt64) -> Int {
    var (count, bound) = (1, UInt64(10))
    while number >= bound {
      count += 1
      let (next, overflows) = bound.multipliedReportingOverflow(by: 10)
      if overflows { break }
      bound = next
    }
    return count
  }

  package mutating func append(_ byte: UInt8) {
    reserve(1)
    unsafe storage[end] = byte
    end += 1
  }

  /// Appends up to `capacity` bytes that `body` writes; it returns how many.
  @inlinable package mutating func append<Failure: Error>(
    upTo capacity: Int, _ body: (UnsafeMutableRawBufferPointer) throws(Failure) -> Int
  ) throws(Failure) -> Int {
    reserve(capacity)
    let room = unsafe UnsafeMutableRawBufferPointer(rebasing: storage[end..<end + capacity])
    let written = try unsafe body(room)
    precondition(written >= 0 && written <= capacity)
    end += written
    return written
  }

  package mutating func consume(_ count: Int) {
    precondition(count >= 0 && count <= self.count)
    start += count
    if start == end { (start, end) = (0, 0) }
  }

  package mutating func removeAll() { (start, end) = (0, 0) }

  /// Gives the memory back if nothing is held.
  package mutating func releaseIfEmpty() {
    guard isEmpty, capacity > 0 else { return }
    unsafe storage.deallocate()
    unsafe storage = UnsafeMutableRawBufferPointer(start: nil, count: 0)
  }

  @inlinable package func withBytes<Result, Failure: Error>(
    _ body: (Span<UInt8>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let bytes = unsafe UnsafeRawBufferPointer(rebasing: storage[start..<end]).bindMemory(to: UInt8.self)
    return try unsafe body(bytes.span)
  }

  @inlinable package mutating func withMutableBytes<Result>(_ body: (inout MutableSpan<UInt8>) -> Result) -> Result {
    let bytes = unsafe UnsafeMutableRawBufferPointer(rebasing: storage[start..<end]).bindMemory(to: UInt8.self)
    var span = unsafe bytes.mutableSpan
    return body(&span)
  }

  @usableFromInline mutating func reserve(_ count: Int) {
    if capacity - end >= count { return }
    let held = self.count
    if capacity - held >= count && start >= held {
      unsafe storage.copyMemory(from: UnsafeRawBufferPointer(rebasing: storage[start..<end]))
    } else {
      let grown = UnsafeMutableRawBufferPointer.allocate(byteCount: max(capacity * 2, held + count, 256), alignment: 16)
      unsafe grown.copyMemory(from: UnsafeRawBufferPointer(rebasing: storage[start..<end]))
      unsafe storage.deallocate()
      unsafe storage = grown
    }
    (start, end) = (0, held)
  }
}
