import Basics
import FoundationEssentials
import HTTPClient

/// A successful answer of a token endpoint (RFC 6749 §5.1), read with the tolerance that real servers need.
struct TokenResponse {
  let accessToken: AccessToken
  /// Whole seconds of life, perhaps none; nil where the server did not say, as RFC 6749 allows.
  let expiresIn: Int?
  let scope: String?

  /// The longest life that is believed, in seconds: Auth0's own maximum.
  static let maxLifetime = 2_592_000

  /// How servers write RFC 6750's Bearer, in any case; the last is Apigee's. One that names no type means this one.
  private static let bearerTypes: Set<String> = ["bearer", "bearer_token", "bearertoken"]

  /// Throws `upstreamGlitch` where there is no token, `invalidUpstreamResponse` for one that cannot be used, or
  /// `tokenValidationFailed` for one that is bound to a key.
  init(_ response: HTTPClient.Response) throws(TokenError) {
    if response.field("content-encoding") != nil { throw Self.invalid("is compressed, though nobody asked for that") }
    let fields: Fields
    do {
      fields = try JSONDecoder().decode(Fields.self, from: Data(response.body))
    } catch {
      guard Token.isAny(in: response) else {
        throw TokenError(cause: .upstreamGlitch, message: "the tenant's answer is no JSON object with an access_token")
      }
      throw Self.invalid(
        "is no JSON object with an access_token, and a token_type, scope and expires_in that make sense")
    }
    if JSONKeys.areAmbiguous(in: response.body) { throw Self.invalid("names a member twice, or is not in UTF-8") }
    guard AccessToken.isWellFormed(fields.accessToken) else {
      throw Self.invalid("holds an access_token that is empty, too long, or has characters no token may have")
    }
    if let type = fields.tokenType, !Self.bearerTypes.contains(type.lowercased()) {
      var error = TokenError(cause: .tokenValidationFailed, message: "the tenant's token is not of the type Bearer")
      error.flaw = .bound
      error.evidence = Evidence(.type, type)
      throw error
    }
    accessToken = AccessToken(fields.accessToken)
    scope = fields.scope
    switch fields.expiresIn {
    case nil: expiresIn = nil
    case let seconds? where seconds >= 0: expiresIn = Int(min(seconds, Double(Self.maxLifetime)))
    case _?: throw Self.invalid("says that the token has no life left")
    }
  }

  private static func invalid(_ what: String) -> TokenError {
    TokenError(cause: .invalidUpstreamResponse, message: "the tenant's answer \(what)")
  }

  /// What tells an answer that has cost a mint from a page of something else.
  private struct Token: Decodable {
    private enum CodingKeys: String, CodingKey {
      case accessToken = "access_token"
    }

    init(from decoder: any Decoder) throws {
      guard try decoder.container(keyedBy: CodingKeys.self).contains(.accessToken) else { throw Missing() }
    }

    private struct Missing: Error {}

    static func isAny(in response: HTTPClient.Response) -> Bool {
      (try? JSONDecoder().decode(Token.self, from: Data(response.body))) != nil
    }
  }

  private struct Fields: Decodable {
    let accessToken: String
    let tokenType: String?
    let expiresIn: Double?
    let scope: String?

    enum CodingKeys: String, CodingKey {
      case accessToken = "access_token"
      case tokenType = "token_type"
      case expiresIn = "expires_in"
      case scope
    }

    init(from decoder: any Decoder) throws {
      let fields = try decoder.container(keyedBy: CodingKeys.self)
      accessToken = try fields.decode(String.self, forKey: .accessToken)
      tokenType = try fields.decodeIfPresent(String.self, forKey: .tokenType)
      // A list of scopes is RFC 6749's text with spaces, cut.
      let scopes = try? fields.decodeIfPresent([String].self, forKey: .scope)
      scope = try scopes?.joined(separator: " ") ?? fields.decodeIfPresent(String.self, forKey: .scope)
      // Some servers send the number as a string.
      if let text = try? fields.decodeIfPresent(String.self, forKey: .expiresIn) {
        // Double would also read hexadecimal.
        guard let seconds = Double(text), seconds.isFinite, !text.contains(where: { "xXpP".contains($0) }) else {
          throw DecodingError.dataCorruptedError(forKey: .expiresIn, in: fields, debugDescription: "no number")
        }
        expiresIn = seconds
      } else {
        expiresIn = try fields.decodeIfPresent(Double.self, forKey: .expiresIn)
      }
    }
  }
}

extension HTTPClient.Response {
  /// What Auth0 calls this request in its own logs.
  var upstreamRequestID: String? { field("x-auth0-requestid").map { PrintableText.text($0, limit: 64) } }
}
