import Basics

/// What a tenant itself said, or wrote into a token that is refused, and what a connection to it has failed with: for
/// those who look after the broker, never for callers. It is printable, short, and free of secrets and tokens.
package struct Evidence: Sendable, Equatable {
  /// The names are those of log fields.
  package enum Item: String, Sendable, CaseIterable {
    /// `error` and `error_description` of a refusal (RFC 6749 §5.2).
    case error = "upstream_error"
    case description = "upstream_error_description"
    /// `iss`, `aud`, `alg` and `kid` of the token, which nobody vouches for.
    case issuer = "token_issuer"
    case audience = "token_audience"
    case algorithm = "token_algorithm"
    case keyID = "token_key_id"
    /// `token_type` of the answer.
    case type = "token_type"
    /// `issuer` of metadata that names another one.
    case metadataIssuer = "metadata_issuer"
    /// libcurl's words, in which the name on a certificate may be.
    case connection = "connection_error"

    /// Characters that are kept.
    fileprivate var limit: Int { self == .error ? 100 : 300 }
  }

  /// One word beside every failure that is remembered, since most have nothing to show.
  private var items: [Item: String] = [:]

  package subscript(_ item: Item) -> String? { items[item] }

  /// All there is, in a fixed order.
  package var fields: [(name: String, value: String)] {
    Item.allCases.compactMap { item in items[item].map { (item.rawValue, $0) } }
  }

  private mutating func note(_ item: Item, _ text: String?, _ redaction: Redaction) {
    guard let text, !text.isEmpty else { return }
    items[item] = PrintableText.text(redaction.apply(to: text), limit: item.limit)
  }

  /// What a refusal says; nil if it says nothing. `redaction` knows the secrets of the request.
  init?(error: String?, description: String?, hiding redaction: Redaction = Redaction()) {
    note(.error, error, redaction)
    note(.description, description, redaction)
    if items.isEmpty { return nil }
  }

  /// One thing by itself; nil if nothing is there.
  init?(_ item: Item, _ text: String) {
    note(item, text, Redaction())
    if items.isEmpty { return nil }
  }

  /// What a token says of itself; nil for one that cannot be read.
  init?(of token: AccessToken) {
    let segments = token.bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    func object(_ index: Int) -> JSONObject? {
      guard index < segments.count, let json = Base64URL.decode(segments[index]) else { return nil }
      return try? JSONObject(json)
    }
    let (header, claims, redaction) = (object(0), object(1), Redaction())
    note(.issuer, try? claims?.text("iss"), redaction)
    note(.audience, (try? claims?.texts("aud"))?.joined(separator: ", "), redaction)
    note(.algorithm, try? header?.text("alg"), redaction)
    note(.keyID, try? header?.text("kid"), redaction)
    if items.isEmpty { return nil }
  }
}
