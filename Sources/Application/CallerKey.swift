import Basics

/// A new key for a caller to prove itself with: 256 random bits in characters that need no quoting anywhere, and their
/// SHA-256 in hexadecimal, which is what the configuration is given of it.
package func makeCallerKey() -> (key: String, sha256: String) {
  let characters = Array("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz".utf8)
  // 43 of 62 characters are 256 bits.
  let key = Array("tb_".utf8) + (0..<43).map { _ in characters[Int.random(in: 0..<62)] }
  return (String(decoding: key, as: UTF8.self), SHA256Digest(of: key.span).hex)
}
