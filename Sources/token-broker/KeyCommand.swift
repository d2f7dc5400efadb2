import ArgumentParser
import Basics
import BrokerCore

struct KeyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "key", abstract: "Make a random key for a caller, and print it with its SHA-256.",
    discussion: "The key is for the caller alone; the configuration gets its SHA-256.")

  func run() {
    var generator = SystemRandomNumberGenerator()
    let digits = Array("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz".utf8)
    // 43 of 62 characters: 256 bits.
    let key =
      "tb_" + String(decoding: (0..<43).map { _ in digits[Int.random(in: 0..<62, using: &generator)] }, as: UTF8.self)
    output(
      """
      key:          \(key)
      bearerSHA256: \(SHA256Digest(of: Array(key.utf8).span).hex)

      """)
  }
}
