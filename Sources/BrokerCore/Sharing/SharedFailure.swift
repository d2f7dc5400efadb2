package import OAuth

/// A failure that the others of a fleet should know of.
package struct SharedFailure: Sendable {
  package enum Reach: Sendable {
    case key
    case organization
    case client
  }

  package let error: TokenError
  package let reach: Reach
  /// For so long nobody need ask again.
  package let lifetime: Duration

  /// As long as a client's own gate stays shut for a limit.
  static let longest = Duration.seconds(3600)

  /// nil for what says nothing to others: failures of credentials, which may differ between brokers while they are
  /// rotated; of checks, which one broker may fail alone, because its clock is wrong; and of the broker itself.
  package init?(_ error: TokenError) {
    self.error = error
    switch error.cause {
    case .brokerMisconfigured, .tokenValidationFailed, .invalidCaller, .overloaded, .allowanceUsedUp: return nil
    case .upstreamRateLimited:
      reach = error.isOfOrganization ? .organization : .client
      lifetime = min(max(error.retryAfter ?? .seconds(1), .seconds(1)), Self.longest)
    case .upstreamGlitch, .upstreamUnavailable, .upstreamTimeout:
      reach = .key
      lifetime = .seconds(1)
    case .unknownAudience, .audienceNotGranted, .unknownOrganization, .invalidUpstreamResponse:
      reach = .key
      lifetime = .seconds(60)
    }
  }
}
