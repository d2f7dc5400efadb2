import Basics
import HTTPServer

/// What the broker says of itself, for clients that begin with that: RFC 8414 §2 and OpenID Connect Discovery §3.
struct BrokerMetadata: Sendable {
  /// What tokens are asked from; every other URL is derived from it.
  let base: String
  /// The URL that the client has read the metadata by, byte for byte, or it must not believe them (RFC 8414 §3.3).
  let issuer: String
  /// With what OpenID Connect demands of every provider, though nobody can sign in here.
  private let isOpenID: Bool
  /// Clients need not prove who they are.
  private let asksNobody: Bool

  /// `path` is that of the issuer, as far as the request shows it. With a public URL it is what stands behind the path
  /// that a proxy has taken off, or all of it where it was put behind the well-known one.
  init(at base: URLParts, path: String, isBehind: Bool, isOpenID: Bool = false, asksNobody: Bool = false) {
    self.base = base.description
    let isWhole = isBehind || path == base.path || path.hasPrefix(base.path + "/")
    issuer = path.isEmpty ? base.description : isWhole ? base.origin + path : base.description + path
    self.isOpenID = isOpenID
    self.asksNobody = asksNobody
  }

  /// `keySetURL` is the tenant's.
  func response(keySetURL: String?) -> Response {
    // RFC 8414 §3.2 has empty lists left out, and §2 demands this member of everybody: what is demanded is there, for
    // libraries fail without it.
    func list(_ words: String...) -> [UInt8] { JSONText.array(words.map { JSONText.string($0) }) }
    var members: [(name: String, value: [UInt8])] = [
      ("issuer", JSONText.string(issuer)), ("token_endpoint", JSONText.string("\(base)/oauth/token")),
    ]
    // Libraries (msal, the MCP SDK of Python) do not take a provider without one. That it is of no use is said below.
    if isOpenID { members.append(("authorization_endpoint", JSONText.string("\(base)/authorize"))) }
    if let keySetURL { members.append(("jwks_uri", JSONText.string(keySetURL))) }
    let (basic, post) = ("client_secret_basic", "client_secret_post")
    members += [
      ("grant_types_supported", list("client_credentials")), ("response_types_supported", list()),
      ("token_endpoint_auth_methods_supported", asksNobody ? list(basic, post, "none") : list(basic, post)),
    ]
    if isOpenID {
      members += [("subject_types_supported", list()), ("id_token_signing_alg_values_supported", list())]
    }
    return Response(
      200, fields: [("Content-Type", "application/json"), ("Cache-Control", "no-store")],
      body: JSONText.object(members))
  }
}

extension BrokerMetadata {
  /// Whether it is empty, or made of plain segments, each behind a slash.
  static func isPath(_ path: String) -> Bool {
    path.isEmpty
      || path.utf8.count <= 512 && path.wholeMatch(of: /(\/[A-Za-z0-9_~\-][A-Za-z0-9._~\-]*)+/) != nil
  }
}
