import OAuth

extension TokenError.Cause {
  /// The HTTP status a caller is answered with.
  var status: Int {
    switch self {
    case .unknownAudience: 404
    case .audienceNotGranted: 403
    case .invalidCaller: 401
    case .brokerMisconfigured, .invalidUpstreamResponse, .tokenValidationFailed: 502
    case .upstreamRateLimited, .upstreamUnavailable, .overloaded: 503
    case .upstreamTimeout: 504
    }
  }
}
