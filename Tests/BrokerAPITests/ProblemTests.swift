import OAuth
import Telemetry
import Testing

@testable import BrokerAPI
@testable import HTTPServer
@testable import Telemetry

@Suite struct ProblemTests {
  private func body(_ response: Response) -> String { String(decoding: response.body, as: UTF8.self) }

  @Test("A problem carries the RFC 9457 and the OAuth members, and Retry-After")
  func problemDetails() {
    let problem = Problem(.upstreamUnavailable, "down", audience: "https://a/", retryAfter: 7)
    let response = problem.response(.problemDetails, requestID: "id-1")
    #expect(response.status == 503)
    #expect(response.fields.contains { $0 == ("Content-Type", "application/problem+json") })
    #expect(response.fields.contains { $0 == ("Cache-Control", "no-store") })
    #expect(response.fields.contains { $0 == ("Retry-After", "7") })
    #expect(
      body(response)
        == #"{"type":"about:blank","title":"Service Unavailable","status":503,"error":"upstream_unavailable","#
        + #""error_description":"down","audience":"https://a/","request_id":"id-1"}"#)
  }

  @Test(
    "An OAuth client gets the word and the status of RFC 6749",
    arguments: [
      (APIError.invalidCaller, 401, "invalid_client"), (.callerNotAllowed, 400, "unauthorized_client"),
      (.audienceNotGranted, 400, "unauthorized_client"), (.unknownAudience, 400, "invalid_target"),
      (.invalidScope, 400, "invalid_scope"), (.overloaded, 503, "temporarily_unavailable"),
      (.unsupportedCoding, 415, "invalid_request"), (.callerRateLimited, 429, "temporarily_unavailable"),
      (.brokerMisconfigured, 502, "server_error"), (.upstreamTimeout, 504, "server_error"),
    ])
  func oauth(_ error: APIError, _ status: Int, _ word: String) {
    let response = Problem(error, "why", audience: "https://a/").response(.oauth, requestID: "id-1")
    #expect(response.status == status)
    #expect(body(response) == #"{"error":"\#(word)","error_description":"why"}"#)
    #expect(response.fields.contains { $0 == ("Pragma", "no-cache") })
  }

  @Test(
    "A proxy is told of what passes by 503, of all else by 502, and that there is no token",
    arguments: APIError.allCases)
  func noToken(_ error: APIError) {
    let problem = Problem(
      error, "why", audience: "https://a/", retryAfter: 7, challenge: .plain, allowedMethods: "GET")
    let response = problem.response(.noToken, requestID: "id-1")
    let passes = error.isTransient || error == .upstreamTimeout
    #expect(response.status == (passes ? 503 : 502))
    #expect(body(response) == #"{"error":"no_token","request_id":"id-1"}"#)
    #expect(response.fields.map(\.name) == ["Content-Type", "Cache-Control", "Retry-After"])
  }

  @Test(
    "What a tenant's answer causes keeps its word, where callers have one for it", arguments: TokenError.Cause.allCases)
  func causes(_ cause: TokenError.Cause) {
    let others: [TokenError.Cause: String] = [
      .unknownOrganization: "invalid_request", .upstreamGlitch: "invalid_upstream_response",
      .allowanceUsedUp: "overloaded",
    ]
    #expect(APIError(cause).word == others[cause] ?? cause.rawValue)
  }

  @Test(
    "What is remembered is told with the time that is left, and what may pass with a second at the least",
    arguments: [
      (TokenError.Cause.upstreamGlitch, 0.2, 1), (.invalidUpstreamResponse, 59.1, 60), (.unknownAudience, 60, 60),
      (.invalidUpstreamResponse, nil, nil), (.upstreamUnavailable, nil, 1), (.upstreamTimeout, nil, nil),
    ] as [(TokenError.Cause, Double?, Int?)])
  func retryAfter(_ cause: TokenError.Cause, _ seconds: Double?, _ expected: Int?) {
    let error = TokenError(cause: cause, message: "why", retryAfter: seconds.map { .seconds($0) })
    #expect(Problem(error, audience: "https://a/").retryAfter == expected)
  }

  @Test("Every status has a place of its own in the metrics", arguments: APIError.allCases)
  func statuses(_ error: APIError) {
    #expect(LoopMetrics.statuses.contains(error.status) && LoopMetrics.statuses.contains(error.oauthStatus))
  }

  @Test(
    "What the server rejects is told as a problem",
    arguments: [
      (Rejection.malformed("why"), 400, "invalid_request", nil), (.timeout, 408, "invalid_request", nil),
      (.unknownVersion, 505, "invalid_request", nil), (.noAnswer, 504, "upstream_timeout", nil),
      (.overLimit, 503, "overloaded", "1"),
    ] as [(Rejection, Int, String, String?)])
  func rejections(_ rejection: Rejection, _ status: Int, _ word: String, _ retryAfter: String?) {
    let response = Problem(rejection).response(.problemDetails, requestID: "id-1")
    #expect(response.status == status)
    #expect(body(response).contains(#""status":\#(status),"error":"\#(word)","error_description":"#))
    #expect(response.fields.first { $0.name == "Retry-After" }?.value == retryAfter)
  }
}
