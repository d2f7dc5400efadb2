import HTTPClient

/// Why there is no token: a word for programs, a sentence for people, and never a secret, a token or a foreign body.
/// Callers are told of all but the evidence.
package struct TokenError: Error, Sendable, Equatable {
  /// These words are in store records, logs and metrics.
  package enum Cause: String, Sendable, CaseIterable {
    case unknownAudience = "unknown_audience"
    case audienceNotGranted = "audience_not_granted"
    /// The tenant does not know the organization that was asked for, or asks for one.
    case unknownOrganization = "unknown_organization"
    case brokerMisconfigured = "broker_misconfigured"
    /// The credentials that were given for this one request are refused.
    case invalidCaller = "invalid_caller"
    case invalidUpstreamResponse = "invalid_upstream_response"
    case tokenValidationFailed = "token_validation_failed"
    /// An answer that no token endpoint gives: from something in its place, such as a gateway during a deployment.
    case upstreamGlitch = "upstream_glitch"
    case upstreamRateLimited = "upstream_rate_limited"
    case upstreamUnavailable = "upstream_unavailable"
    case upstreamTimeout = "upstream_timeout"
    case overloaded
    /// Who asks has made the tenant refuse too much, so it is not asked for what may be made up.
    case allowanceUsedUp = "allowance_used_up"

    /// Whether it may be gone at the next try, without anybody changing anything.
    package var isTransient: Bool {
      switch self {
      case .upstreamGlitch, .upstreamRateLimited, .upstreamUnavailable, .upstreamTimeout, .overloaded,
        .allowanceUsedUp:
        true
      case .unknownAudience, .audienceNotGranted, .unknownOrganization, .brokerMisconfigured, .invalidCaller,
        .invalidUpstreamResponse, .tokenValidationFailed:
        false
      }
    }
  }

  package var cause: Cause
  package var message: String
  /// When asking again may help, where that is known.
  package var retryAfter: Duration?
  /// Whether the limit is the organization's, not the whole client's.
  package var isOfOrganization = false
  /// Whether another broker was refused, and has left word of it.
  package var isFromStore = false
  /// How many requests with other credentials were refused before.
  package var resends = 0
  /// The tenant's own status and request id, for the log.
  package var upstreamStatus: Int?
  package var upstreamRequestID: String?
  /// Whether it is only that the keys are out of reach which a token is to be checked with.
  var isForWantOfKeys = false
  /// In the tenant's own words, for operators only.
  package var evidence: Evidence?
  /// What is wrong with the token; nil where none came, or none of these is it.
  package var flaw: TokenFlaw?
  /// Whether a token was refused for its dates, so that it may be sound once this machine's clock is set.
  package var dependsOnClock: Bool { flaw == .time }

  package init(cause: Cause, message: String, retryAfter: Duration? = nil) {
    self.cause = cause
    self.message = message
    self.retryAfter = retryAfter
  }

  package static let overloaded = TokenError(
    cause: .overloaded, message: "too many requests wait for tokens", retryAfter: .seconds(1))
  package static let timedOut = TokenError(cause: .upstreamTimeout, message: "the tenant did not answer in time")
  package static let expiredOnArrival = TokenError(
    cause: .invalidUpstreamResponse, message: "the tenant's token had too little life left to be used")

  /// The tenant gives a token that it has given before, until that ends.
  package static func ending(in left: Duration) -> TokenError {
    TokenError(
      cause: .upstreamUnavailable, message: "the tenant repeats a token that has too little life left to be used",
      retryAfter: max(left, .seconds(1)))
  }

  /// The transport failed before there was an answer.
  init(_ failure: HTTPClient.Failure) {
    switch failure.kind {
    case .timeout: self = .timedOut
    case .tooLarge: self.init(cause: .invalidUpstreamResponse, message: "the tenant's answer: \(failure.summary)")
    case .identity:
      self.init(
        cause: .brokerMisconfigured, message: "the client cannot prove itself with a certificate: \(failure.summary)")
    case .connect, .tls, .exchange, .lost:
      self.init(cause: .upstreamUnavailable, message: "the tenant cannot be reached: \(failure.summary)")
    }
    evidence = Evidence(failure)
  }

  func with(_ response: HTTPClient.Response, after resends: Int = 0) -> TokenError {
    var error = self
    error.resends = resends
    error.upstreamStatus = response.status
    error.upstreamRequestID = response.upstreamRequestID
    return error
  }
}

extension HTTPClient.Failure {
  /// What has failed, in words that anybody may see.
  var summary: String {
    switch kind {
    case .connect: "no connection was made"
    case .tls: "no TLS connection was made"
    case .timeout: "there was no answer in time"
    case .tooLarge: "it is over the limit of 1 MiB"
    case .identity: "it cannot be used, or is not accepted"
    case .exchange, .lost: "the connection has failed before there was an answer"
    }
  }
}

extension Evidence {
  init?(_ failure: HTTPClient.Failure) { self.init(.connection, failure.message) }
}
