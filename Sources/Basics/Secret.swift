import Crypto
import Glibc

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
    unsafe bytes = LockedMemory.allocate(max(1, capacity))
    var writer = unsafe Writer(bytes)
    fill(&writer)
    used = writer.count
  }

  deinit {
    if let start = unsafe bytes.baseAddress { unsafe explicit_bzero(start, bytes.count) }
    unsafe LockedMemory.deallocate(bytes)
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
      return Hex.text(code.finalizeWiping().prefix(4))
    }
  }

  private static let fingerprintKey = SymmetricKey(size: .bits256)
}

extension Secret: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  package var description: String { "<redacted>" }
  package var debugDescription: String { "<redacted>" }
  package var customMirror: Mirror { Mirror(self, children: []) }
}
