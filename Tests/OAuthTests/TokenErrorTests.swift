import Testing

@testable import HTTPClient
@testable import OAuth

@Suite struct TokenErrorTests {
  @Test(
    "Each way in which the transport fails has its cause",
    arguments: [
      (HTTPClient.Failure.Kind.connect, TokenError.Cause.upstreamUnavailable), (.tls, .upstreamUnavailable),
      (.exchange, .upstreamUnavailable), (.timeout, .upstreamTimeout), (.tooLarge, .invalidUpstreamResponse),
      (.identity, .brokerMisconfigured),
    ])
  func transport(_ kind: HTTPClient.Failure.Kind, _ expected: TokenError.Cause) {
    #expect(TokenError(HTTPClient.Failure(kind: kind, message: "why")).cause == expected)
  }

  @Test("Only what may pass by itself is transient")
  func transient() {
    #expect(
      TokenError.Cause.allCases.filter(\.isTransient) == [
        .upstreamGlitch, .upstreamRateLimited, .upstreamUnavailable, .upstreamTimeout, .overloaded, .allowanceUsedUp,
      ])
  }
}
