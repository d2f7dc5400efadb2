import Basics

/// A new key for a caller to prove itself with.
package struct CallerKey {
  /// 256 random bits, in characters that need no quoting anywhere.
  package let text: String
  /// What the configuration is given of it, in hexadecimal.
  package let sha256: String

  package init() {
    var generator = SystemRandomNumberGenerator()
    let digits = Array("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz".utf8)
    // 43 of 62 characters are 256 bits.
    let random = (0..<43).map { _ in digits[Int.random(in: 0..<62, using: &generator)] }
    text = "tb_" + String(decoding: random, as: UTF8.self)
    sha256 = SHA256Digest(of: Array(text.utf8).span).hex
  }
}
