import Basics
import HTTPServer

extension TokenEndpoint {
  /// What `fault` makes of a request that would have been granted.
  func play(_ fault: Fault, _ grant: Grant) throws -> Reply {
    if let token = try badToken(fault, grant) ?? oddToken(fault, grant) { return answer(token: token, grant) }
    if let reply = refusal(fault, grant) { return reply }
    return try oddAnswer(fault, grant) ?? success(grant)
  }

  // MARK: Tokens

  private func badToken(_ fault: Fault, _ grant: Grant) throws -> String? {
    var claims = claims(grant)
    var header = TokenHeader(keyID: key.id)
    switch fault {
    case .audienceArray:
      claims.audiences = ["https://other.example.com/", grant.audience]
      claims.asArray = true
    case .rfc9068:
      header.type = "at+jwt"
      claims.others = [("client_id", JSONText.string(clientID)), ("jti", JSONText.string("a-token-id"))]
    case .narrowedScope: claims.scope = "narrow"
    case .wrongIssuer: claims.issuer = "https://evil.example.com/"
    case .audiencePrefix: claims.audiences = [grant.audience + "more"]
    case .expired: (claims.issuedAt, claims.expiresAt) = (claims.issuedAt - 7200, claims.issuedAt - 1)
    case .notBeforeAhead: claims.others.append(("nbf", JSONText.number(claims.issuedAt + 3600)))
    case .issuedAhead: claims.issuedAt += 3600
    case .confirmation: claims.others.append(("cnf", JSONText.object([("x5t#S256", JSONText.string("a-thumbprint"))])))
    case .unpublishedKey: return try token(claims, with: SigningKey())
    case .flippedSignature:
      let sound = try token(claims)
      // Not the last character: its low bits are padding.
      let index = sound.index(sound.endIndex, offsetBy: -10)
      return sound.replacingCharacter(at: index, with: sound[index] == "A" ? "B" : "A")
    default: return nil
    }
    return try token(claims, header)
  }

  /// Tokens that are not signed as they should be, or are no signed tokens at all.
  private func oddToken(_ fault: Fault, _ grant: Grant) throws -> String? {
    let claims = claims(grant)
    switch fault {
    case .algNone:
      let header = TokenHeader(algorithm: "none", keyID: key.id)
      return "\(Base64URL.encode(header.json)).\(Base64URL.encode(claims.json))."
    case .hs256WithRSAKey:
      let header = TokenHeader(algorithm: "HS256", keyID: key.id)
      let input = "\(Base64URL.encode(header.json)).\(Base64URL.encode(claims.json))"
      return "\(input).\(Base64URL.encode(key.confuse(Array(input.utf8))))"
    case .twoSegments: return try token(claims).split(separator: ".").prefix(2).joined(separator: ".")
    case .fourSegments: return try token(claims) + ".more"
    case .opaque: return "an-opaque-token"
    case .jwe:
      let parts = [#"{"alg":"dir","enc":"A256GCM"}"#, "", "iv", "ciphertext", "tag"]
      return parts.map { Base64URL.encode($0.utf8) }.joined(separator: ".")
    default: return nil
    }
  }

  // MARK: Answers

  private func oddAnswer(_ fault: Fault, _ grant: Grant) throws -> Reply? {
    let sound = try token(claims(grant))
    let bearer = #""token_type":"Bearer","expires_in":\#(lifetime)"#
    let body = #"{"access_token":"\#(sound)",\#(bearer)}"#
    switch fault {
    case .lowerCaseBearer: return answer(token: sound, grant, type: "bearer")
    case .dpop: return answer(token: sound, grant, type: "DPoP")
    case .noExpiresIn: return answer(token: sound, grant, expiresIn: nil)
    case .stringExpiresIn: return answer(token: sound, grant, expiresIn: "\"\(lifetime)\"")
    case .hugeExpiresIn: return answer(token: sound, grant, expiresIn: "1e300")
    case .zeroExpiresIn: return answer(token: sound, grant, expiresIn: "0")
    case .negativeExpiresIn: return answer(token: sound, grant, expiresIn: "-1")
    case .duplicateAccessToken: return answer(token: sound, grant, more: [("access_token", JSONText.string("another"))])
    case .crlfInToken: return answer(token: sound + "\r\nSet-Cookie: a=b", grant)
    case .html: return .response(Self.page(200, "Maintenance"))
    case .empty: return .response(Response(200, fields: [("Content-Type", "application/json")]))
    case .tenMegabytes:
      return .response(
        Response(
          200, fields: [("Content-Type", "application/json")],
          body: Array(#"{"padding":""#.utf8) + [UInt8](repeating: 0x78, count: 10 << 20) + Array("\",".utf8)
            + Array(body.utf8.dropFirst())))
    case .gzip:
      return .response(
        Response(
          200, fields: [("Content-Type", "application/json"), ("Content-Encoding", "gzip")],
          body: Gzip.store(Array(body.utf8))))
    // A quota that is counted and not enforced: the token is given all the same.
    case .watchedQuota: return answer(token: sound, grant, quota: "b=per_hour;q=10;r=0;t=3540")
    case .notFound: return .response(Self.page(404, "Not Found"))
    case .redirect: return .response(Response(302, fields: [("Location", issuer + "dev/redirected")]))
    default: return bytes(fault, body)
    }
  }

  /// Answers that go out in odd pieces, or not to their end.
  private func bytes(_ fault: Fault, _ body: String) -> Reply? {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    switch fault {
    case .truncatedJSON: return .verbatim("\(head)Content-Length: 40\r\n\r\n\(body.prefix(40))", ending: .keep)
    case .truncated:
      return .verbatim("\(head)Content-Length: \(body.utf8.count)\r\n\r\n\(body.prefix(40))", ending: .close)
    case .chunked:
      let half = body.utf8.count / 2
      let parts = [body.prefix(half), body.dropFirst(half)].map { "\(String($0.utf8.count, radix: 16))\r\n\($0)\r\n" }
      return .verbatim("\(head)Transfer-Encoding: chunked\r\n\r\n\(parts.joined())0\r\n\r\n", ending: .keep)
    case .byteAtATime:
      let whole = "\(head)Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
      return .verbatim(whole.utf8.map { [$0] }, pause: .microseconds(200), ending: .keep)
    case .slow:
      return .verbatim(
        [[], Array("\(head)Content-Length: \(body.utf8.count)\r\n\r\n\(body)".utf8)], pause: .seconds(2), ending: .keep)
    case .staleKeepAlive: return .verbatim("\(head)Content-Length: \(body.utf8.count)\r\n\r\n\(body)", ending: .close)
    case .reset: return .verbatim("", ending: .reset)
    case .halfClose: return .verbatim("", ending: .close)
    case .stall: return .never
    default: return nil
    }
  }

  static func page(_ status: Int, _ title: String) -> Response {
    Response(
      status, fields: [("Content-Type", "text/html")],
      body: Array("<!doctype html><title>\(title)</title><h1>\(title)</h1>".utf8))
  }

  // MARK: Refusals

  private func refusal(_ fault: Fault, _ grant: Grant) -> Reply? {
    let reset = ("X-RateLimit-Reset", "\(now + 7)")
    switch fault {
    case .badCredentials: return .refusal(401, "access_denied", "Unauthorized")
    case .invalidClient: return .refusal(401, "invalid_client", "Unauthorized")
    case .serviceNotEnabled:
      return .refusal(403, "access_denied", "Service not enabled within domain: \(grant.audience)")
    case .serviceNotFound: return .refusal(403, "invalid_request", "Service not found: \(grant.audience)")
    case .notAuthorized:
      return .refusal(
        403, "access_denied",
        "Client is not authorized to access \"\(grant.audience)\". "
          + "You need to create a \"client-grant\" associated to this API.")
    case .scopeNotGranted: return .refusal(403, "access_denied", "Client has not been granted scopes: x")
    case .grantNotAllowed:
      return .refusal(403, "unauthorized_client", "Grant type 'client_credentials' not allowed for the client.")
    case .unknownOrganization: return .refusal(400, "invalid_request", "parameter organization is invalid")
    case .rateLimited: return .refusal(429, "too_many_requests", "Rate limit exceeded.", fields: [reset])
    case .rateLimitedSeconds:
      return .refusal(429, "too_many_requests", "Rate limit exceeded.", fields: [("Retry-After", "30"), reset])
    case .rateLimitedDate:
      return .refusal(
        429, "too_many_requests", "Rate limit exceeded.", fields: [("Retry-After", "Fri, 31 Dec 1999 23:59:59 GMT")])
    case .quotaExceeded:
      return .refusal(
        429, "too_many_requests", "Client quota exceeded",
        fields: [("Auth0-Client-Quota-Limit", "b=per_hour;q=10;r=0;t=1800,b=per_day;q=50;r=40;t=43200")])
    case .globalLimit: return .refusal(429, "too_many_requests", "Global limit has been reached")
    case .globalLimitAs500: return .refusal(500, "access_denied", "Global limit has been reached", fields: [reset])
    case .serverErrorJSON: return .refusal(500, "server_error", "An Action denied the request")
    case .serverErrorHTML: return .response(Self.page(503, "Service Unavailable"))
    case .blockedHTML: return .response(Self.page(403, "Blocked"))
    case .temporarilyUnavailable: return .refusal(400, "temporarily_unavailable", "Try again later")
    default: return nil
    }
  }
}

extension String {
  fileprivate func replacingCharacter(at index: Index, with character: Character) -> String {
    self[..<index] + String(character) + self[self.index(after: index)...]
  }
}
