/// The kinds of errors that callers are told.
enum APIError: CaseIterable, Sendable {
  case invalidRequest, invalidAudience, invalidScope, invalidTarget, unsupportedGrantType, notAcceptable
  case unsupportedCoding
  case invalidCaller, callerNotAllowed, callerRateLimited, notFound, methodNotAllowed
  case unknownAudience, audienceNotGranted
  case brokerMisconfigured, invalidUpstreamResponse, tokenValidationFailed
  case upstreamRateLimited, upstreamUnavailable, upstreamTimeout, overloaded

  /// A fixed word for programs.
  var word: String {
    switch self {
    case .invalidRequest, .notAcceptable, .unsupportedCoding: "invalid_request"
    case .invalidAudience: "invalid_audience"
    case .invalidScope: "invalid_scope"
    case .invalidTarget: "invalid_target"
    case .unsupportedGrantType: "unsupported_grant_type"
    case .invalidCaller: "invalid_caller"
    case .callerNotAllowed: "caller_not_allowed"
    case .callerRateLimited: "caller_rate_limited"
    case .notFound: "not_found"
    case .methodNotAllowed: "method_not_allowed"
    case .unknownAudience: "unknown_audience"
    case .audienceNotGranted: "audience_not_granted"
    case .brokerMisconfigured: "broker_misconfigured"
    case .invalidUpstreamResponse: "invalid_upstream_response"
    case .tokenValidationFailed: "token_validation_failed"
    case .upstreamRateLimited: "upstream_rate_limited"
    case .upstreamUnavailable: "upstream_unavailable"
    case .upstreamTimeout: "upstream_timeout"
    case .overloaded: "overloaded"
    }
  }

  var status: Int {
    switch self {
    case .invalidRequest, .invalidAudience, .invalidScope, .invalidTarget, .unsupportedGrantType: 400
    case .invalidCaller: 401
    case .callerNotAllowed, .audienceNotGranted: 403
    case .notFound, .unknownAudience: 404
    case .methodNotAllowed: 405
    case .notAcceptable: 406
    case .unsupportedCoding: 415
    case .callerRateLimited: 429
    case .brokerMisconfigured, .invalidUpstreamResponse, .tokenValidationFailed: 502
    case .upstreamRateLimited, .upstreamUnavailable, .overloaded: 503
    case .upstreamTimeout: 504
    }
  }

  /// The word that an OAuth client knows (RFC 6749 §5.2 and §4.1.2.1, RFC 8707 §2).
  var oauthWord: String {
    switch self {
    case .invalidCaller: "invalid_client"
    case .callerNotAllowed, .audienceNotGranted: "unauthorized_client"
    case .unknownAudience, .invalidAudience: "invalid_target"
    case .callerRateLimited, .upstreamRateLimited, .upstreamUnavailable, .overloaded: "temporarily_unavailable"
    case .brokerMisconfigured, .invalidUpstreamResponse, .tokenValidationFailed, .upstreamTimeout: "server_error"
    case .invalidRequest, .invalidScope, .invalidTarget, .unsupportedGrantType, .notAcceptable, .unsupportedCoding,
      .notFound, .methodNotAllowed:
      word
    }
  }

  /// RFC 6749 §5.2 has 400 for all that is wrong with a request but its client.
  var oauthStatus: Int {
    switch self {
    case .callerNotAllowed, .audienceNotGranted, .unknownAudience, .notFound: 400
    default: status
    }
  }

  /// The status of `/forward-auth`, where a proxy asks: its client can mend nothing.
  var proxyStatus: Int { isTransient || self == .upstreamTimeout ? 503 : 502 }

  /// Somebody asked who may not: the audit log has a line of it.
  var isDenial: Bool { self == .invalidCaller || self == .callerNotAllowed }

  /// Asking again, after a while that `Retry-After` tells, may help.
  var isTransient: Bool {
    switch self {
    case .callerRateLimited, .upstreamRateLimited, .upstreamUnavailable, .overloaded: true
    default: false
    }
  }
}
