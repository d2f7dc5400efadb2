import Basics
import HTTPClient
import IO
import OAuth
package import Settings

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

  private let trust: HTTPClient.Trust
  /// What its configuration wants to see of every request.
  private let fields: [(name: String, value: String)]
  /// Without a slash at its end; `unix:` and the path of its socket for one that listens there.
  package let url: String
  /// The path of the Unix socket that it is reached by; nil: by TCP.
  private let socket: String?
  /// A caller's key to ask with; nil: none.
  private let callerKey: String?

  /// `url` is as a command was told it. The caller's key comes from BROKER_CALLER_KEY: on the command line everybody
  /// could read it.
  package init(url: String, environment: [String: String] = environment) throws(Unreachable) {
    try self.init(url: url, trust: .system, fields: [], environment)
  }

  /// The ways to the broker of a configuration, in the order in which to try them: by the admin listener, if it has one
  /// and `asksAdmin`, and by the main one.
  package static func ways(
    to broker: AskableBroker, asksAdmin: Bool, environment: [String: String] = environment
  ) throws(Unreachable) -> [RunningBroker] {
    var ways: [RunningBroker] = []
    if asksAdmin, let admin = broker.admin {
      ways.append(try RunningBroker(url: url(listening: admin), trust: .system, fields: [], environment))
    }
    var fields = broker.field.map { [$0] } ?? []
    if let host = broker.hosts.first { fields.append(("Host", host)) }
    // It is its own certificate, whatever name it is for and whoever has signed it.
    let trust: HTTPClient.Trust =
      if let file = broker.certificateFile { .shown(try firstCertificate(in: file)) } else { .system }
    ways.append(try RunningBroker(url: url(listening: main(broker)), trust: trust, fields: fields, environment))
    return ways
  }

  private init(
    url: String, trust: HTTPClient.Trust, fields: [(name: String, value: String)], _ environment: [String: String]
  ) throws(Unreachable) {
    var url = url
    while url.last == "/" { url.removeLast() }
    self.url = url
    self.trust = trust
    self.fields = fields
    socket = url.hasPrefix("unix:") ? String(url.dropFirst("unix:".count)) : nil
    if let socket, !socket.hasPrefix("/") {
      throw Unreachable(reason: "\(url): expected unix:/ and the path of a socket")
    }
    // A file's line break comes along easily.
    var key = environment["BROKER_CALLER_KEY"] ?? ""
    while key.last?.isNewline == true { key.removeLast() }
    guard key.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
      throw Unreachable(reason: "BROKER_CALLER_KEY: expected a key, in printable ASCII without spaces")
    }
    callerKey = key.isEmpty ? nil : key
  }

  /// The server's own. Those behind it in the file are authorities, which vouch for others as well.
  static func firstCertificate(in file: String) throws(Unreachable) -> String {
    let text: String
    do throws(FileError) {
      text = String(decoding: try File.read(file), as: UTF8.self)
    } catch {
      throw Unreachable(reason: "\(file): \(error.reason)")
    }
    let marks = (start: "-----BEGIN CERTIFICATE-----", end: "-----END CERTIFICATE-----")
    guard let start = text.firstRange(of: marks.start), let end = text[start.upperBound...].firstRange(of: marks.end)
    else { throw Unreachable(reason: "\(file): it holds no PEM certificate") }
    return text[start.lowerBound..<end.upperBound] + "\n"
  }

  /// The first address that can be asked without a certificate of one's own and without the PROXY protocol.
  private static func main(_ broker: AskableBroker) -> String {
    func isAskable(_ address: String) -> Bool {
      !address.contains("proxy=required") && !(broker.requiresCertificate && address.hasPrefix("https://"))
    }
    return broker.main.first(where: isAskable) ?? broker.main.first ?? "127.0.0.1:8080"
  }

  /// The URL of an address, as a configuration has it. One that means every interface is reached by way of the loopback
  /// one.
  static func url(listening address: String) -> String {
    var address = String(address.prefix { $0 != "?" })
    if address.hasPrefix("unix:") { return address }
    let isTLS = address.hasPrefix("https://")
    if isTLS { address.removeFirst("https://".count) }
    for (every, loopback) in [("0.0.0.0:", "127.0.0.1:"), ("[::]:", "[::1]:")] where address.hasPrefix(every) {
      address = loopback + address.dropFirst(every.count)
    }
    return (isTLS ? "https://" : "http://") + address
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
      url: base + path, headers: [("Accept", "application/json")] + self.fields + fields, timeout: .seconds(35))
    request.socket = socket
    if let callerKey {
      guard let parts = URLParts(request.url), parts.isConfidential, parts.user == nil else {
        throw Unreachable(reason: "\(url): a caller's key is sent over https:// or to this machine only")
      }
      request.authorization = Secret("Bearer \(callerKey)".utf8)
    }
    do throws(HTTPClient.Failure) {
      let response = try await HTTPClient(trust: trust).send(request)
      return Answer(status: response.status, body: response.body)
    } catch {
      throw Unreachable(reason: "\(url): \(error)")
    }
  }
}
