import Basics

/// What a token says, before it is signed.
struct AccessTokenClaims {
  var issuer: String
  var subject: String
  var audiences: [String]
  var asArray = false
  var issuedAt: Int
  var expiresAt: Int
  var scope: String?
  var organization: String?
  /// Further members, whose values are JSON.
  var others: [(name: String, value: [UInt8])] = []

  var json: [UInt8] {
    let names = audiences.map { JSONText.string($0) }
    var members: [(name: String, value: [UInt8])] = [
      ("iss", JSONText.string(issuer)), ("sub", JSONText.string(subject)),
      ("aud", asArray ? JSONText.array(names) : names.first ?? []), ("iat", JSONText.number(issuedAt)),
      ("exp", JSONText.number(expiresAt)),
    ]
    if let scope { members.append(("scope", JSONText.string(scope))) }
    if let organization { members.append(("org_id", JSONText.string(organization))) }
    return JSONText.object(members + others)
  }
}

/// The JOSE header of a token (RFC 7515 §4).
struct TokenHeader {
  var algorithm = "RS256"
  var type = "JWT"
  var keyID: String?

  var json: [UInt8] {
    var members = [(name: "alg", value: JSONText.string(algorithm)), (name: "typ", value: JSONText.string(type))]
    if let keyID { members.append(("kid", JSONText.string(keyID))) }
    return JSONText.object(members)
  }
}
