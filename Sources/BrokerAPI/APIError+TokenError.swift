import OAuth

extension APIError {
  /// What a caller is told of why there is no token.
  init(_ cause: TokenError.Cause) {
    switch cause {
    case .unknownAudience: self = .unknownAudience
    case .audienceNotGranted: self = .audienceNotGranted
    case .unknownOrganization: self = .invalidRequest
    case .brokerMisconfigured: self = .brokerMisconfigured
    case .invalidCaller: self = .invalidCaller
    // That what it answers may be better at the next try, Retry-After tells.
    case .invalidUpstreamResponse, .upstreamGlitch: self = .invalidUpstreamResponse
    case .tokenValidationFailed: self = .tokenValidationFailed
    case .upstreamRateLimited: self = .upstreamRateLimited
    case .upstreamUnavailable: self = .upstreamUnavailable
    case .upstreamTimeout: self = .upstreamTimeout
    case .overloaded, .allowanceUsedUp: self = .overloaded
    }
  }
}
