import Basics
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
    let fields = try Fields(response.body)
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

  fileprivate static func invalid(_ what: String) -> TokenError {
    TokenError(cause: .invalidUpstreamResponse, message: "the tenant's answer \(what)")
  }

  /// The members that count, as the server wrote them.
  private struct Fields {
    let accessToken: String
    let tokenType: String?
    let expiresIn: Double?
    let scope: String?

    init(_ body: [UInt8]) throws(TokenError) {
      let object: JSONObject
      do throws(JSONObject.Flaw) {
        object = try JSONObject(body)
      } catch {
        // In UTF-16 and UTF-32 the first brace has a zero byte beside it.
        if error == .malformed, !body.prefix(4).contains(0) { throw Self.noToken }
        throw TokenResponse.invalid("names a member twice, or is not in UTF-8")
      }
      // With it, the answer has cost a mint; without, it is a page of something else.
      if !object.contains("access_token") { throw Self.noToken }
      do throws(JSONObject.WrongType) {
        guard let token = try object.text("access_token") else { throw JSONObject.WrongType() }
        accessToken = token
        tokenType = try object.text("token_type")
        // A list of scopes is RFC 6749's text with spaces, cut.
        scope = try object.texts("scope")?.joined(separator: " ")
        expiresIn = try Self.seconds(object)
      } catch {
        throw TokenResponse.invalid(
          "is no JSON object with an access_token, and a token_type, scope and expires_in that make sense")
      }
    }

    /// Some servers send the number as a string.
    private static func seconds(_ object: JSONObject) throws(JSONObject.WrongType) -> Double? {
      guard let text = try? object.text("expires_in") else { return try object.number("expires_in") }
      // Double would also read hexadecimal.
      guard let seconds = Double(text), seconds.isFinite, !text.utf8.contains(where: "xXpP".utf8.contains) else {
        throw JSONObject.WrongType()
      }
      return seconds
    }

    private static var noToken: TokenError {
      TokenError(cause: .upstreamGlitch, message: "the tenant's answer is no JSON object with an access_token")
    }
  }
}

extension HTTPClient.Response {
  /// What Auth0 calls this request in its own logs.
  var upstreamRequestID: String? { field("x-auth0-requestid").map { PrintableText.text($0, limit: 64) } }
}
