import Crypto
import Glibc
import Synchronization

/// Bytes that must not be shown: printed as `<redacted>`, compared in constant time, kept out of swap where the system
/// allows, and overwritten when let go.
///
/// `Sendable` is unchecked because a pointer is not, and sound: both properties are constants, the bytes they lead to
/// are written in `init` alone, before anybody else has the object, and freed in `deinit`, when nobody has it any more.
/// Between the two, threads only read.
@safe package final class Secret: @unchecked Sendable {
  private let bytes: UnsafeMutableRawBufferPointer
  private let used: Int

  /// A copy of `source`, which the caller should not keep.
  package convenience init(_ source: some Collection<UInt8>) { self.init(capacity: source.count) { $0.append(source) } }

  /// Filled by `fill` with at most `capacity` bytes, without a copy left elsewhere.
  package init(capacity: Int, _ fill: (inout Writer) -> Void) {
    unsafe bytes = .allocate(byteCount: max(1, capacity), alignment: 1)
    unsafe LockedPages.hold(bytes)
    var writer = unsafe Writer(bytes)
    fill(&writer)
    used = writer.count
  }

  deinit {
    if let start = unsafe bytes.baseAddress { unsafe explicit_bzero(start, bytes.count) }
    unsafe LockedPages.release(bytes)
    unsafe bytes.deallocate()
  }

  package var count: Int { used }
  package var isEmpty: Bool { used == 0 }

  package func withBytes<Result>(_ body: (Span<UInt8>) throws -> Result) rethrows -> Result {
    let used = unsafe UnsafeRawBufferPointer(rebasing: bytes[..<used]).assumingMemoryBound(to: UInt8.self)
    return try unsafe body(used.span)
  }

  /// Appends to a secret in the making.
  @safe package struct Writer {
    private let bytes: UnsafeMutableRawBufferPointer
    package private(set) var count = 0

    fileprivate init(_ bytes: UnsafeMutableRawBufferPointer) { unsafe self.bytes = bytes }

    package mutating func append(_ byte: UInt8) {
      precondition(unsafe count < bytes.count)
      unsafe bytes[count] = byte
      count += 1
    }

    package mutating func append(_ source: some Collection<UInt8>) { for byte in source { append(byte) } }

    package mutating func append(_ source: Span<UInt8>) {
      precondition(unsafe source.count <= bytes.count - count)
      unsafe source.withUnsafeBytes { source in
        unsafe UnsafeMutableRawBufferPointer(rebasing: bytes[count...]).copyMemory(from: source)
      }
      count += source.count
    }

    /// Appends what `body` writes into the room that is left; it returns how many bytes, and so does this.
    package mutating func append<Failure: Error>(
      _ body: (UnsafeMutableRawBufferPointer) throws(Failure) -> Int
    ) throws(Failure) -> Int {
      let written = try unsafe body(UnsafeMutableRawBufferPointer(rebasing: bytes[count...]))
      precondition(unsafe written >= 0 && written <= bytes.count - count)
      count += written
      return written
    }

    package mutating func append(_ secret: Secret) { secret.withBytes { append($0) } }
  }
}

/// Pages of memory that the system is to keep out of swap. It locks a page once, however often that is asked for, so
/// they are counted here: a secret that goes must not unlock its neighbour.
private enum LockedPages {
  private static let size = UInt(sysconf(Int32(_SC_PAGESIZE)))
  private static let holders = Mutex<[UInt: Int]>([:])

  static func hold(_ bytes: UnsafeMutableRawBufferPointer) {
    for page in unsafe pages(of: bytes) {
      holders.withLock { holders in
        holders[page, default: 0] += 1
        if holders[page] == 1 { unsafe _ = mlock(UnsafeRawPointer(bitPattern: page * size), Int(size)) }
      }
    }
  }

  static func release(_ bytes: UnsafeMutableRawBufferPointer) {
    for page in unsafe pages(of: bytes) {
      holders.withLock { holders in
        holders[page, default: 0] -= 1
        if holders[page] == 0 {
          holders[page] = nil
          unsafe _ = munlock(UnsafeRawPointer(bitPattern: page * size), Int(size))
        }
      }
    }
  }

  private static func pages(of bytes: UnsafeMutableRawBufferPointer) -> ClosedRange<UInt> {
    let start = UInt(bitPattern: bytes.baseAddress)
    return start / size...(start + UInt(bytes.count) - 1) / size
  }
}

extension Secret: Equatable {
  /// Takes the same time wherever the first difference is.
  package static func == (left: Secret, right: Secret) -> Bool {
    guard left.count == right.count else { return false }
    return left.withBytes { left in
      right.withBytes { right in
        var difference: UInt8 = 0
        for index in 0..<left.count { difference |= left[index] ^ right[index] }
        return difference == 0
      }
    }
  }
}

extension Secret {
  /// Eight hexadecimal digits by which people tell a process's secrets apart.
  ///
  /// It is a keyed hash, and no other process has the key: it says whether the secret is another than before, and
  /// nothing of the secret. From a plain hash, whoever sees it could guess a secret that somebody thought up.
  package var fingerprint: String {
    withBytes { bytes in
      var code = HMAC<SHA256>(key: Self.fingerprintKey)
      unsafe bytes.withUnsafeBytes { unsafe code.update(data: $0) }
      return Hex.text(code.finalize().prefix(4))
    }
  }

  private static let fingerprintKey = SymmetricKey(size: .bits256)
}

extension Secret: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  package var description: String { "<redacted>" }
  package var debugDescription: String { "<redacted>" }
  package var customMirror: Mirror { Mirror(self, children: []) }
}
