import Basics
import FoundationEssentials
import HTTPServer
import OAuth

/// How a client says who it is (RFC 6749 §2.3.1).
struct ClientCredentials: Sendable {
  /// An id, and a secret where the client does not prove itself in another way.
  struct Pair: Sendable {
    let clientID: String
    let secret: Secret?
  }

  /// What they may mean. By Basic, that is the pair form-decoded, as RFC 6749 has it, and then as it stands there
  /// (RFC 7617 §2), which is what most clients send.
  let readings: [Pair]
  /// The whole `Authorization` field; nil for credentials in the body.
  let authorization: Secret?

  init(clientID: String, secret: Secret?) {
    readings = [Pair(clientID: clientID, secret: secret)]
    authorization = nil
  }

  /// Reads an `Authorization` field; nil for another scheme than Basic. Throws `invalidRequest` where it holds no pair.
  init?(authorization field: String) throws(Problem) {
    guard field.utf8.count > 6, field.prefix(6).lowercased() == "basic " else { return nil }
    let parts = Data(base64Encoded: String(field.dropFirst(6).trimmingSpaces))?
      .split(separator: UInt8(ascii: ":"), maxSplits: 1, omittingEmptySubsequences: false).map { Array($0) }
    guard let parts, parts.count == 2 else { throw Self.malformed }
    let isPlain = !parts.joined().contains { $0 == UInt8(ascii: "%") || $0 == UInt8(ascii: "+") }
    let decoded = parts.map { PercentDecoder.formText($0.span, $0.indices) }
    readings = [
      isPlain ? nil : Self.pair(decoded[0], decoded[1].map { Array($0.utf8) }),
      Self.pair(String(validating: parts[0], as: UTF8.self), parts[1]),
    ].compactMap(\.self)
    if readings.isEmpty { throw Self.malformed }
    authorization = Secret(field.utf8)
  }

  private static func pair(_ clientID: String?, _ secret: [UInt8]?) -> Pair? {
    guard let clientID, Audience.problem(with: clientID) == nil, let secret else { return nil }
    return Pair(clientID: clientID, secret: Secret(secret))
  }

  private static var malformed: Problem { Problem(.invalidRequest, "the Basic credentials are malformed") }

  /// The id, as far as the client alone says.
  var clientID: String { readings[0].clientID }
  var hasSecret: Bool { readings[0].secret != nil }

  func mayName(_ clientID: String) -> Bool { readings.contains { $0.clientID == clientID } }
}

extension PassThroughCredentials {
  /// They are sent on as they came: what tells one client from another is what stands there, not what it may mean.
  init?(_ credentials: ClientCredentials, _ parameters: [(name: String, value: Secret)]) {
    let readings = credentials.readings.compactMap { reading in
      reading.secret.map { Pair(clientID: reading.clientID, secret: $0) }
    }
    guard let asGiven = readings.last else { return nil }
    self.init(
      asGiven: asGiven, decoded: readings.dropLast().first, authorization: credentials.authorization,
      parameters: parameters)
  }
}
