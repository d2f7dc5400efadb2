package import Crypto

/// For what secrets have been put into: swift-crypto 4.5.2 frees a hash with its last block still in memory, because
/// its own wiping covers eight bytes of it. So another block takes that one's place.
private let blank = [UInt8](repeating: 0, count: 64)

extension SHA256 {
  /// What `finalize` returns, and nothing that was hashed is left in memory.
  package mutating func finalizeWiping() -> Digest {
    defer { update(data: blank) }
    return finalize()
  }
}

extension HMAC<SHA256> {
  /// What `finalize` returns, and nothing that was hashed is left in memory.
  package mutating func finalizeWiping() -> MAC {
    defer { update(data: blank) }
    return finalize()
  }
}
