import Basics
import FoundationEssentials
import OAuth

/// What is left in a store, before it is sealed.
enum StoreRecord {
  /// A token with its dates in Unix time.
  struct Token: Codable {
    let token: String
    let scope: String?
    let mintedAt: Double
    let expiresAt: Double
    /// The whole of its life in seconds, where that is more.
    var lifetime: Double?
  }

  /// Why there is no token, and until when nobody should ask.
  struct Failure: Codable {
    let code: String
    let message: String
    let until: Double
    let isOfOrganization: Bool
    /// A token that was minted all the same, and could not be checked yet.
    var held: Token?
  }

  /// In place of a token: those that were minted before then were thrown away, in Unix time.
  struct Purge: Codable {
    let purgedAt: Double
  }

  static func encode(_ record: some Encodable) -> [UInt8]? { (try? JSONEncoder().encode(record)).map { Array($0) } }

  static func decode<Record: Decodable>(_ type: Record.Type, _ bytes: [UInt8]) -> Record? {
    try? JSONDecoder().decode(type, from: Data(bytes))
  }
}

extension StoreRecord.Token {
  init(_ stored: StoredToken) {
    self.init(
      token: stored.accessToken.value, scope: stored.scope, mintedAt: stored.mintedAt, expiresAt: stored.expiresAt,
      lifetime: stored.lifetime)
  }

  /// nil for what is no token, whoever left it there.
  func stored(isChecked: Bool) -> StoredToken? {
    guard AccessToken.isWellFormed(token) else { return nil }
    return StoredToken(
      accessToken: AccessToken(token), scope: scope, mintedAt: mintedAt, expiresAt: expiresAt, lifetime: lifetime,
      isChecked: isChecked)
  }
}

extension StoreRecord.Failure {
  init(_ failure: SharedFailure, wallNow: Double) {
    self.init(
      code: failure.error.cause.rawValue, message: failure.error.message,
      until: wallNow + failure.lifetime / .seconds(1), isOfOrganization: failure.error.isOfOrganization)
  }

  /// The failure as this broker sees it; nil if its time is over, or it makes no sense.
  func error(wallNow: Double) -> TokenError? {
    guard let cause = TokenError.Cause(rawValue: code), until > wallNow else { return nil }
    var error = TokenError(
      cause: cause, message: message, retryAfter: .seconds(min(until - wallNow, SharedFailure.longest / .seconds(1))))
    error.isOfOrganization = isOfOrganization
    return error
  }
}
