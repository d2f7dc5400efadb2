import Basics
import HTTPClient
import IO
import OAuth

/// A broker that runs somewhere, for the commands that ask one.
package struct RunningBroker {
  /// Why it did not answer: a sentence for people.
  package struct Unreachable: Error, Equatable {
    package let reason: String
  }

  package struct Answer {
    package let status: Int
    package let body: [UInt8]
  }

  /// Without a slash at its end.
  package let url: String
  /// A caller's key to ask with; nil: none.
  private let callerKey: String?

  /// `url` is as a command was told it; without one the broker is where this machine's environment has it listen. The
  /// caller's key comes from BROKER_CALLER_KEY: on the command line everybody could read it.
  package init(url: String?, environment: [String: String] = ProcessEnvironment.variables) throws(Unreachable) {
    var url = if let url { url } else { try Self.url(listening: environment["BROKER_LISTEN"] ?? "") }
    while url.last == "/" { url.removeLast() }
    self.url = url
    callerKey = environment["BROKER_CALLER_KEY"].flatMap { $0.isEmpty ? nil : $0 }
  }

  /// The first address of a list that is not a Unix socket, as a URL.
  private static func url(listening addresses: String) throws(Unreachable) -> String {
    let addresses = addresses.split { $0 == "," || $0.isWhitespace }
    guard
      let first = addresses.first(where: { !$0.starts(with: "unix:") }) ?? (addresses.isEmpty ? "127.0.0.1:8080" : nil)
    else { throw Unreachable(reason: "BROKER_LISTEN has only a Unix socket; give the broker's --url") }
    if first.starts(with: "https://") { return String(first) }
    // An address that means every interface is reached by way of the loopback one.
    for (every, loopback) in [("0.0.0.0:", "127.0.0.1:"), ("[::]:", "[::1]:")] where first.starts(with: every) {
      return "http://\(loopback)\(first.dropFirst(every.count))"
    }
    return "http://\(first)"
  }

  /// Why there can be no such audience; nil where there can.
  package static func problem(with audience: String) -> String? { Audience.problem(with: audience) }

  /// The path of the token for an audience.
  package static func tokenPath(_ audience: String) -> String { "/token/\(percentEncoded(audience))" }

  /// Everything but RFC 3986's unreserved characters is encoded.
  private static func percentEncoded(_ text: String) -> String {
    let unreserved = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~".utf8)
    let encoded = text.utf8.flatMap { byte in
      unreserved.contains(byte) ? [byte] : [UInt8(ascii: "%"), Hex.upperDigit(byte >> 4), Hex.upperDigit(byte & 15)]
    }
    return String(decoding: encoded, as: UTF8.self)
  }

  /// Asks for `path`. A caller's key goes over TLS, or to this machine itself, and nowhere else.
  package func get(_ path: String, accept: String = "application/json") async throws(Unreachable) -> Answer {
    var request = HTTPClient.Request(url: url + path, headers: [("Accept", accept)], timeout: .seconds(35))
    if let callerKey {
      guard let parts = URLParts(url + path), parts.isConfidential, parts.user == nil else {
        throw Unreachable(reason: "\(url): a caller's key is sent over https:// or to this machine only")
      }
      request.authorization = Secret("Bearer \(callerKey)".utf8)
    }
    do throws(HTTPClient.Failure) {
      let response = try await HTTPClient().send(request)
      return Answer(status: response.status, body: response.body)
    } catch {
      throw Unreachable(reason: "\(url): \(error)")
    }
  }
}
