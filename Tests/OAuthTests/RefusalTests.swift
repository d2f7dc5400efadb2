import HTTPClient
import Testing

@testable import OAuth

@Suite struct RefusalTests {
  struct Case: CustomTestStringConvertible {
    let status: Int
    let body: String
    let cause: TokenError.Cause
    var testDescription: String { "\(status) \(body)" }

    init(_ status: Int, _ error: String?, _ description: String, _ cause: TokenError.Cause) {
      self.status = status
      self.cause = cause
      body = error.map { #"{"error":"\#($0)","error_description":"\#(description)"}"# } ?? description
    }
  }

  static let cases = [
    Case(401, "access_denied", "Unauthorized", .brokerMisconfigured),
    Case(401, "invalid_client", "Unauthorized", .brokerMisconfigured),
    Case(401, nil, "<html>", .brokerMisconfigured),
    Case(403, "access_denied", "Service not enabled within domain: https://x/", .unknownAudience),
    Case(403, "access_denied", "Service not found: https://x/", .unknownAudience),
    Case(403, "invalid_request", "Service not found: https://x/", .unknownAudience),
    Case(400, "invalid_target", "unknown resource", .unknownAudience),
    Case(403, "access_denied", "Client is not authorized to access https://x/", .audienceNotGranted),
    Case(403, "access_denied", "Client has not been granted scopes: a", .audienceNotGranted),
    Case(
      403, "unauthorized_client", "Grant type 'client_credentials' not allowed for the client.", .audienceNotGranted),
    Case(400, "invalid_scope", "", .audienceNotGranted),
    Case(400, "invalid_client", "", .brokerMisconfigured),
    Case(400, "invalid_request", "nonsense", .invalidUpstreamResponse),
    Case(400, "unauthorized_client", "", .audienceNotGranted),
    Case(400, "invalid_resource", "", .unknownAudience),
    Case(400, "invalid_grant", "", .brokerMisconfigured),
    Case(400, "unsupported_grant_type", "", .brokerMisconfigured),
    Case(401, "unauthorized_client", "Invalid client or Invalid client credentials", .brokerMisconfigured),
    Case(401, "unauthorized_client", "Client not enabled to retrieve service account", .audienceNotGranted),
    Case(403, "insufficient_scope", "", .audienceNotGranted),
    Case(400, "scope_invalid", "", .audienceNotGranted),
    Case(400, "invalid_request", "parameter organization is invalid", .unknownOrganization),
    Case(403, "invalid_request", "parameter organization is required for this client", .unknownOrganization),
    Case(400, "temporarily_unavailable", "", .upstreamUnavailable),
    Case(400, "server_error", "", .upstreamUnavailable),
    Case(400, "slow_down", "", .upstreamUnavailable),
    Case(403, nil, "", .upstreamUnavailable),
    Case(403, nil, #"{"message":"Forbidden"}"#, .upstreamUnavailable),
    Case(400, nil, #"{"error":{"code":1}}"#, .upstreamUnavailable),
    Case(408, nil, "", .upstreamUnavailable),
    Case(425, nil, "", .upstreamUnavailable),
    Case(403, "invalid_grant", "", .invalidUpstreamResponse),
    Case(403, "unsupported_grant_type", "", .invalidUpstreamResponse),
    Case(403, nil, "<html>blocked", .upstreamUnavailable),
    Case(429, "too_many_requests", "Rate limit exceeded.", .upstreamRateLimited),
    Case(429, nil, "", .upstreamRateLimited),
    Case(500, "access_denied", "Global limit has been reached", .upstreamRateLimited),
    Case(500, "server_error", "x", .upstreamUnavailable),
    Case(503, nil, "<html>", .upstreamUnavailable),
    Case(599, nil, "", .upstreamUnavailable),
    Case(302, nil, "", .upstreamGlitch),
    Case(404, nil, "", .upstreamGlitch),
    Case(404, "Not Found", "", .upstreamGlitch),
    Case(405, nil, "", .upstreamGlitch),
    Case(204, nil, "", .upstreamGlitch),
    Case(413, nil, "<html>", .upstreamGlitch),
    Case(418, "teapot", "", .invalidUpstreamResponse),
  ]

  @Test("Each refusal becomes its own error, and nothing of its body gets into a message", arguments: cases)
  func classified(_ example: Case) {
    let answer = HTTPClient.Response(example.status, example.body, [("x-auth0-requestid", "abc\n1")])
    let error = Refusal(answer).tokenError(now: 0)
    #expect(error.cause == example.cause)
    #expect(error.upstreamStatus == example.status)
    #expect(error.upstreamRequestID == "abc?1")
    #expect(!error.message.contains("https://x/") && !error.message.contains("<html>"))
    #expect(error.retryAfter == nil, "nothing was said of when to come back")
  }

  @Test(
    "Credentials are refused by 401, and where they were in the body by an error with 400",
    arguments: [
      (401, "", true), (401, "access_denied", true), (400, "invalid_client", true), (400, "invalid_request", false),
      (401, "unauthorized_client", false), (403, "invalid_client", false), (403, "access_denied", false),
      (500, "invalid_client", false), (200, "", false),
    ])
  func credentials(_ status: Int, _ error: String, _ expected: Bool) {
    #expect(Refusal(HTTPClient.Response(status, #"{"error":"\#(error)"}"#)).isOfCredentials == expected)
  }

  @Test(
    "What may be over soon comes with the wait that the answer asks for",
    arguments: [(408, "", 7), (425, "", 7), (503, "", 7), (403, "", 7), (400, "slow_down", 7), (404, "", nil)])
  func transientWaits(_ status: Int, _ error: String, _ seconds: Int?) {
    let body = error.isEmpty ? "" : #"{"error":"\#(error)"}"#
    let answer = HTTPClient.Response(status, body, [("retry-after", "7")])
    #expect(Refusal(answer).tokenError(now: 0).retryAfter == seconds.map { .seconds($0) })
  }

  /// 2000-01-01T00:00:00Z
  private static let now = 946_684_800

  @Test(
    "The wait comes from Retry-After, an exhausted quota or the reset time, within a day",
    arguments: [
      ([("retry-after", "7")], 7), ([("retry-after", "0")], 0), ([("retry-after", "999999999999999999999")], 86400),
      ([("retry-after", "Sat, 01 Jan 2000 00:02:00 GMT")], 120),
      ([("retry-after", "Fri, 31 Dec 1999 23:59:59 GMT")], 0),
      ([("retry-after", "Sat, 01 Jan 2050 00:00:00 GMT")], 86400),
      ([("retry-after", "soon"), ("x-ratelimit-reset", "946684805")], 5),
      ([("retry-after", "-1"), ("x-ratelimit-reset", "946684805")], 5),
      ([("x-ratelimit-reset", "946684700")], 0), ([("x-ratelimit-reset", "x")], nil), ([], nil),
      ([("auth0-client-quota-limit", "b=per_hour;q=10;r=0;t=1800,b=per_day;q=50;r=40;t=43200")], 1800),
      ([("auth0-client-quota-limit", "b=per_hour;q=10;r=0;t=1800,b=per_day;q=50;r=0;t=43200")], 43200),
      ([("auth0-organization-quota-limit", "b=per_hour;q=10;r=0;t=60"), ("x-ratelimit-reset", "946684805")], 60),
      ([("auth0-client-quota-limit", "b=per_hour;q=10;r=1;t=60"), ("x-ratelimit-reset", "946684805")], 5),
      (
        [
          ("auth0-organization-quota-limit", "b=per_hour;q=10;r=0;t=60"), ("x-ratelimit-reset", "946684805"),
          ("x-ratelimit-remaining", "0"),
        ], 5
      ),
      ([("retry-after", "3"), ("auth0-client-quota-limit", "b=per_hour;q=10;r=0;t=60")], 3),
    ] as [([(name: String, value: String)], Int?)])
  func waits(_ fields: [(name: String, value: String)], _ seconds: Int?) {
    #expect(RetryHint.wait(HTTPClient.Response(429, "", fields), now: Self.now) == seconds.map { .seconds($0) })
  }

  @Test(
    "A limit is the organization's where its quota alone is used up, and not where the rate is limited",
    arguments: [
      ([("auth0-organization-quota-limit", "b=h;q=9;r=0;t=60")], true),
      ([("auth0-organization-quota-limit", "b=h;q=9;r=0;t=60"), ("x-ratelimit-remaining", "0")], false),
      (
        [
          ("auth0-organization-quota-limit", "b=h;q=9;r=0;t=60"), ("auth0-client-quota-limit", "b=h;q=9;r=0;t=60"),
        ], false
      ),
      ([("auth0-client-quota-limit", "b=h;q=9;r=0;t=60")], false), ([], false),
    ] as [([(name: String, value: String)], Bool)])
  func organizations(_ fields: [(name: String, value: String)], _ expected: Bool) {
    #expect(Refusal(HTTPClient.Response(429, "", fields)).tokenError(now: 0).isOfOrganization == expected)
  }

  @Test(
    "Quota buckets are read, and broken ones passed over",
    arguments: [
      ("b=per_hour;q=10;r=7;t=3540,b=per_day;q=50;r=47;t=43200", ["per_hour 7/10", "per_day 47/50"]),
      (" b=per_hour ; q=10;r=7;t=1", ["per_hour 7/10"]), ("b=per_hour;q=10;r=7", []),
      ("b=x;q=-1;r=7;t=1,b=y;q=1;r=1;t=1", ["y 1/1"]),
      ("", []), (";;;,,,===", []), ("b=x;q=99999999999;r=1;t=1", []),
    ])
  func quota(_ text: String, _ expected: [String]) {
    #expect(QuotaBucket.parse(text).map { "\($0.name) \($0.remaining)/\($0.quota)" } == expected)
  }
}
