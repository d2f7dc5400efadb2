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

  /// This process's environment.
  package static var environment: [String: String] { ProcessEnvironment.variables }

  /// Without a slash at its end; `unix:` and the path of its socket for one that listens there.
  package let url: String
  /// The path of the Unix socket that it is reached by; nil: by TCP.
  private let socket: String?
  /// A caller's key to ask with; nil: none.
  private let callerKey: String?

  /// `url` is as a command was told it. The caller's key comes from BROKER_CALLER_KEY: on the command line everybody
  /// could read it.
  package init(url: String, environment: [String: String] = environment) throws(Unreachable) {
    var url = url
    while url.last == "/" { url.removeLast() }
    self.url = url
    socket = url.hasPrefix("unix:") ? String(url.dropFirst("unix:".count)) : nil
    if let socket, !socket.hasPrefix("/") {
      throw Unreachable(reason: "\(url): expected unix:/ and the path of a socket")
    }
    callerKey = environment["BROKER_CALLER_KEY"].flatMap { $0.isEmpty ? nil : $0 }
  }

  /// The URL of a broker that listens on these addresses, as its configuration has them: of the first that can be asked
  /// without the PROXY protocol.
  package static func url(listening addresses: [String]) -> String {
    let askable = addresses.first { !$0.contains("proxy=required") } ?? addresses.first
    let address = askable.map { String($0.prefix { $0 != "?" }) } ?? "127.0.0.1:8080"
    if address.hasPrefix("https://") || address.hasPrefix("unix:") { return address }
    // An address that means every interface is reached by way of the loopback one.
    for (every, loopback) in [("0.0.0.0:", "127.0.0.1:"), ("[::]:", "[::1]:")] where address.hasPrefix(every) {
      return "http://\(loopback)\(address.dropFirst(every.count))"
    }
    return "http://\(address)"
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

  /// Asks for `path`, with these header fields. A caller's key goes over TLS, or to this machine itself, and nowhere
  /// else.
  package func get(
    _ path: String, _ fields: [(name: String, value: String)] = []
  ) async throws(Unreachable) -> Answer {
    let base = socket == nil ? url : "http://localhost"
    var request = HTTPClient.Request(
      url: base + path, headers: [("Accept", "application/json")] + fields, timeout: .seconds(35))
    request.socket = socket
    if let callerKey {
      guard let parts = URLParts(request.url), parts.isConfidential, parts.user == nil else {
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
