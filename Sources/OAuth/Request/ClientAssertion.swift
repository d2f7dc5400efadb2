import Basics
import JWTKit

/// The claims by which a client proves that it holds its key (RFC 7523 §3, OpenID Connect Core §9).
struct ClientAssertion: JWTPayload {
  let iss: String
  let sub: String
  let aud: String
  /// Unix time in seconds.
  let iat: Int
  let exp: Int
  /// Never the same twice: a server refuses one that it has seen.
  let jti: String

  /// In seconds. Auth0 advises a minute.
  private static let lifetime = 60
  /// The longest assertion that Auth0 accepts.
  static let maxBytes = 2048

  init(clientID: String, audience: String, now: Int = Int(WallClock.now)) {
    (iss, sub, aud) = (clientID, clientID, audience)
    (iat, exp) = (now, now + Self.lifetime)
    jti = [UInt64.random(in: .min ... .max), .random(in: .min ... .max)].map(Hex.text).joined(separator: "-")
  }

  /// The assertion as a signed JWT. Throws `brokerMisconfigured`.
  func signed(with key: AssertionKey) async throws(TokenError) -> Secret {
    guard let token = try? await key.sign(self) else {
      throw TokenError(cause: .brokerMisconfigured, message: "the client's private key does not sign")
    }
    if token.utf8.count > Self.maxBytes {
      throw TokenError(
        cause: .brokerMisconfigured,
        message: "the client's assertion is over \(Self.maxBytes) bytes: its id, audience or key id is too long")
    }
    return Secret(token.utf8)
  }

  /// Assertions are only made here; the server checks them.
  func verify(using algorithm: some JWTAlgorithm) async throws {}
}
