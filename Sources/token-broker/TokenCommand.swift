import ArgumentParser
import HTTPClient
import OAuth

struct TokenCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "token", abstract: "Print a token from a running broker.")

  @Argument(help: "The audience: the identifier of the API the token is for.")
  var audience: String

  @OptionGroup var broker: BrokerLocation

  @Flag(help: "Print a whole Authorization header, for curl -H.")
  var header = false

  func validate() throws {
    if let problem = Audience.problem(with: audience) { throw ValidationError(problem) }
  }

  func run() async throws {
    prepareProcess()
    let answer = try await broker.get("/token/\(PercentEncoder.encode(audience))", accept: "text/plain")
    let text = String(decoding: answer.body, as: UTF8.self)
    guard answer.status == 200 else {
      complain("\(broker.base) answered \(answer.status): \(text)")
      throw ExitCode.failure
    }
    print(header ? "Authorization: Bearer \(text)" : text, terminator: "")
  }
}

/// Percent-encoding of everything but RFC 3986's unreserved characters.
enum PercentEncoder {
  static func encode(_ text: String) -> String {
    let unreserved = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~".utf8)
    let digits = Array("0123456789ABCDEF".utf8)
    var encoded: [UInt8] = []
    for byte in text.utf8 {
      if unreserved.contains(byte) {
        encoded.append(byte)
      } else {
        encoded += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
      }
    }
    return String(decoding: encoded, as: UTF8.self)
  }
}
