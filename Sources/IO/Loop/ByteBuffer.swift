/// Bytes between a reader and a writer: appended at the end, consumed from the front. Holds no memory while unused.
@safe package struct ByteBuffer: ~Copyable {
  // Usable from inline: all this is called for every request, and across modules only inlining specialises closures
  // and keeps a call from costing more than what it does.
  @usableFromInline var storage = unsafe UnsafeMutableRawBufferPointer(start: nil, count: 0)
  @usableFromInline var start = 0
  @usableFromInline var end = 0

  package init() {}

  deinit { unsafe storage.deallocate() }

  /// Bytes of memory held.
  package var capacity: Int { unsafe storage.count }
  @inlinable @inline(__always) package var count: Int { end - start }
  @inlinable @inline(__always) package var isEmpty: Bool { start == end }

  @inlinable package mutating func append(_ bytes: Span<UInt8>) {
    unsafe bytes.withUnsafeBytes { unsafe append(copying: $0) }
  }

  @inlinable package mutating func append(_ bytes: [UInt8]) {
    unsafe bytes.withUnsafeBytes { unsafe append(copying: $0) }
  }

  @inlinable package mutating func append(_ bytes: ArraySlice<UInt8>) {
    unsafe bytes.withUnsafeBytes { unsafe append(copying: $0) }
  }

  /// `bytes` are none of this buffer's.
  @usableFromInline mutating func append(copying bytes: UnsafeRawBufferPointer) {
    guard let source = bytes.baseAddress, bytes.count > 0 else { return }
    reserve(bytes.count)
    unsafe tail.copyMemory(from: source, byteCount: bytes.count)
    end += bytes.count
  }

  /// Appends once more what `range` of the bytes holds.
  package mutating func append(copyOf range: Range<Int>) {
    precondition(range.lowerBound >= 0 && range.upperBound <= count)
    reserve(range.count)
    let source = unsafe UnsafeRawBufferPointer(rebasing: storage[start + range.lowerBound..<start + range.upperBound])
    unsafe UnsafeMutableRawBufferPointer(rebasing: storage[end...]).copyMemory(from: source)
    end += range.count
  }

  package mutating func append(_ text: StaticString) {
    unsafe append(copying: UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
  }

  /// Appends `number` in decimal digits.
  package mutating func append(decimal number: UInt64) {
    let count = Self.digits(of: number)
    reserve(count)
    var (rest, position) = (number, end + count)
    repeat {
      position -= 1
      let quotient = rest / 10
      unsafe storage[position] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest - quotient * 10)
      rest = quotient
    } while rest > 0
    end += count
  }

  /// How many decimal digits `number` has.
  package static func digits(of number: UInt64) -> Int {
    var (count, rest) = (1, number / 10)
    while rest > 0 {
      count += 1
      rest /= 10
    }
    return count
  }

  @inlinable package mutating func append(_ byte: UInt8) {
    reserve(1)
    unsafe storage[end] = byte
    end += 1
  }

  /// Appends up to `capacity` bytes that `body` writes; it returns how many.
  @inlinable package mutating func append<Failure: Error>(
    upTo capacity: Int, _ body: (UnsafeMutableRawBufferPointer) throws(Failure) -> Int
  ) throws(Failure) -> Int {
    reserve(capacity)
    let room = unsafe UnsafeMutableRawBufferPointer(start: capacity > 0 ? tail : nil, count: capacity)
    let written = try unsafe body(room)
    precondition(written >= 0 && written <= capacity)
    end += written
    return written
  }

  @inlinable package mutating func consume(_ count: Int) {
    precondition(count >= 0 && count <= self.count)
    start += count
    if start == end { (start, end) = (0, 0) }
  }

  @inlinable package mutating func removeAll() { (start, end) = (0, 0) }

  /// Gives the memory back if nothing is held.
  package mutating func releaseIfEmpty() {
    guard isEmpty, capacity > 0 else { return }
    unsafe storage.deallocate()
    unsafe storage = UnsafeMutableRawBufferPointer(start: nil, count: 0)
  }

  @inlinable @inline(__always) package func withBytes<Result, Failure: Error>(
    _ body: (Span<UInt8>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let first = unsafe storage.baseAddress.map { unsafe $0 + start }
    let bytes = unsafe UnsafeRawBufferPointer(start: first, count: count).bindMemory(to: UInt8.self)
    return try unsafe body(bytes.span)
  }

  @inlinable package mutating func withMutableBytes<Result>(_ body: (inout MutableSpan<UInt8>) -> Result) -> Result {
    let first = unsafe storage.baseAddress.map { unsafe $0 + start }
    let bytes = unsafe UnsafeMutableRawBufferPointer(start: first, count: count).bindMemory(to: UInt8.self)
    var span = unsafe bytes.mutableSpan
    return body(&span)
  }

  /// Behind the last byte held; for a buffer with room there.
  @usableFromInline var tail: UnsafeMutableRawPointer {
    guard let base = unsafe storage.baseAddress else { preconditionFailure("no room") }
    return unsafe base + end
  }

  /// Makes room for `count` bytes behind those held.
  @inlinable @inline(__always) mutating func reserve(_ count: Int) {
    if unsafe storage.count - end < count { grow(by: count) }
  }

  @usableFromInline @inline(never) mutating func grow(by count: Int) {
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
