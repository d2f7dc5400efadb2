/// Something a tenant can do to those who rely on it. The audience `https://<fault>.fault.example.com/` always does it.
package enum Fault: String, CaseIterable, Sendable {
  // Good tokens in unusual dress.
  case audienceArray = "audience-array"
  case rfc9068 = "rfc9068"
  case lowerCaseBearer = "lower-case-bearer"
  case noExpiresIn = "no-expires-in"
  case stringExpiresIn = "string-expires-in"
  case hugeExpiresIn = "huge-expires-in"
  case narrowedScope = "narrowed-scope"
  case chunked = "chunked"
  case byteAtATime = "byte-at-a-time"
  case slow = "slow"
  case staleKeepAlive = "stale-keep-alive"
  case watchedQuota = "watched-quota"

  // Tokens nobody may use.
  case algNone = "alg-none"
  case hs256WithRSAKey = "hs256-with-rsa-key"
  case wrongIssuer = "wrong-issuer"
  case audiencePrefix = "audience-prefix"
  case expired = "expired"
  case notBeforeAhead = "not-before-ahead"
  case issuedAhead = "issued-ahead"
  case flippedSignature = "flipped-signature"
  case unpublishedKey = "unpublished-key"
  case twoSegments = "two-segments"
  case fourSegments = "four-segments"
  case opaque = "opaque"
  case jwe = "jwe"
  case confirmation = "confirmation"
  case dpop = "dpop"

  // Answers that are no answer.
  case zeroExpiresIn = "zero-expires-in"
  case negativeExpiresIn = "negative-expires-in"
  case html = "html"
  case empty = "empty"
  case truncated = "truncated"
  case truncatedJSON = "truncated-json"
  case duplicateAccessToken = "duplicate-access-token"
  case crlfInToken = "crlf-in-token"
  case tenMegabytes = "ten-megabytes"
  case gzip = "gzip"
  case redirect = "redirect"
  case notFound = "not-found"
  case reset = "reset"
  case halfClose = "half-close"
  case stall = "stall"

  // Refusals, in Auth0's words.
  case badCredentials = "bad-credentials"
  case invalidClient = "invalid-client"
  case serviceNotEnabled = "service-not-enabled"
  case serviceNotFound = "service-not-found"
  case notAuthorized = "not-authorized"
  case scopeNotGranted = "scope-not-granted"
  case grantNotAllowed = "grant-not-allowed"
  case unknownOrganization = "unknown-organization"
  case rateLimited = "rate-limited"
  case rateLimitedSeconds = "rate-limited-seconds"
  case rateLimitedDate = "rate-limited-date"
  case quotaExceeded = "quota-exceeded"
  case globalLimit = "global-limit"
  case globalLimitAs500 = "global-limit-as-500"
  case serverErrorJSON = "server-error-json"
  case serverErrorHTML = "server-error-html"
  case blockedHTML = "blocked-html"
  case temporarilyUnavailable = "temporarily-unavailable"

  /// The audience that always plays this fault.
  package var audience: String { "https://\(rawValue).fault.example.com/" }

  init?(audience: String) {
    let (head, tail) = ("https://", ".fault.example.com/")
    guard audience.hasPrefix(head), audience.hasSuffix(tail) else { return nil }
    self.init(rawValue: String(audience.dropFirst(head.count).dropLast(tail.count)))
  }

  /// Whether a careful client ends up with a good token.
  package var isHarmless: Bool {
    switch self {
    case .audienceArray, .rfc9068, .lowerCaseBearer, .noExpiresIn, .stringExpiresIn, .hugeExpiresIn, .narrowedScope,
      .chunked, .byteAtATime, .slow, .staleKeepAlive, .watchedQuota:
      true
    default: false
    }
  }
}
