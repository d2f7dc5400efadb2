import Application
import ArgumentParser

struct KeyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "key", abstract: "Make a random key for a caller, and print it with its SHA-256.",
    discussion: "The key is for the caller alone; the configuration gets its SHA-256.")

  func run() {
    let (key, sha256) = makeCallerKey()
    Console.output(
      """
      key:          \(key)
      bearerSHA256: \(sha256)

      """)
  }
}
