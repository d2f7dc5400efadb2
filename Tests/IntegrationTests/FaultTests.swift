import DevTenant
import Foundation
import TestSupport
import Testing

extension IntegrationTests {
  /// Everything the tenant can do wrong, against the real binary.
  @Suite struct FaultTests {
    /// What a caller is answered, and whether that comes with a time to ask again.
    private static func expectation(_ fault: Fault) -> (status: Int, error: String, retries: Bool) {
      switch fault {
      case .algNone, .hs256WithRSAKey, .wrongIssuer, .audiencePrefix, .expired, .notBeforeAhead, .issuedAhead,
        .flippedSignature, .unpublishedKey, .twoSegments, .fourSegments, .opaque, .jwe, .confirmation, .dpop:
        (502, "token_validation_failed", false)
      case .zeroExpiresIn, .negativeExpiresIn, .html, .empty, .truncatedJSON, .duplicateAccessToken, .crlfInToken,
        .tenMegabytes, .gzip, .redirect:
        (502, "invalid_upstream_response", false)
      case .truncated, .reset, .halfClose, .serverErrorJSON, .serverErrorHTML, .blockedHTML:
        (503, "upstream_unavailable", true)
      case .stall: (504, "upstream_timeout", false)
      case .badCredentials, .invalidClient: (502, "broker_misconfigured", false)
      case .serviceNotEnabled, .serviceNotFound: (404, "unknown_audience", false)
      case .notAuthorized, .scopeNotGranted, .grantNotAllowed: (403, "audience_not_granted", false)
      case .rateLimited, .rateLimitedSeconds, .rateLimitedDate, .quotaExceeded, .globalLimit, .globalLimitAs500:
        (503, "upstream_rate_limited", true)
      case .audienceArray, .rfc9068, .lowerCaseBearer, .noExpiresIn, .stringExpiresIn, .hugeExpiresIn, .narrowedScope,
        .chunked, .byteAtATime, .slow, .staleKeepAlive:
        (200, "", false)
      }
    }

    @Test("Each fault has its own answer, is remembered, and shows neither token nor secret", arguments: Fault.allCases)
    func fault(_ fault: Fault) async throws {
      try await withBroker { tenant, broker in
        let expected = Self.expectation(fault)
        let answer = try await broker.token(fault.audience)
        #expect(answer.status == expected.status, "\(answer.body)")
        if fault.isHarmless {
          #expect(answer.token != nil)
          #expect(try await broker.token(fault.audience).token == answer.token)
          #expect(tenant.tenant.statistics.mints == 1)
          return
        }
        #expect(answer.error == expected.error, "\(answer.body)")
        #expect(answer.field("content-type") == "application/problem+json")
        #expect(answer.json["audience"] as? String == fault.audience)
        #expect((answer.field("retry-after") != nil) == expected.retries)
        let requests = tenant.tenant.statistics.tokenRequests
        tenant.tenant.play([.lowerCaseBearer], for: fault.audience)
        let again = try await broker.token(fault.audience)
        if !expected.retries, fault != .stall {
          #expect(again.error == expected.error)
          #expect(tenant.tenant.statistics.tokenRequests == requests, "a refusal is not asked for again at once")
        }
        #expect(tenant.tenant.statistics.redirectsFollowed == 0)
        for text in [answer.body, answer.head, broker.child.errors] {
          #expect(!text.contains(tenant.secret) && !text.contains("eyJ") && !text.contains("opaque-token"))
        }
      }
    }

    @Test(
      "Retry-After tells what the tenant told",
      arguments: [
        (Fault.rateLimitedSeconds, 30...30), (.rateLimited, 5...7), (.globalLimitAs500, 5...7),
        (.quotaExceeded, 1800...1800),
        (.rateLimitedDate, 1...1), (.globalLimit, 1...1),
      ])
    func retryAfter(_ fault: Fault, _ expected: ClosedRange<Int>) async throws {
      try await withBroker { _, broker in
        let seconds = try await broker.token(fault.audience).field("retry-after").flatMap { Int($0) }
        #expect(seconds.map(expected.contains) == true, "\(seconds ?? -1)")
      }
    }

    @Test(
      "A key set with decoys or a shared kid does not confuse, one that is empty or unreadable lets nothing through")
    func keySets() async throws {
      for mode in [DevTenant.KeySetMode.decoys, .duplicateID] {
        try await withBroker { tenant, broker in
          tenant.tenant.setKeySet(mode)
          let answer = try await broker.token("https://api.example.com/")
          #expect(answer.status == 200)
        }
      }
      try await withBroker { tenant, broker in
        tenant.tenant.setKeySet(.empty)
        let answer = try await broker.token("https://api.example.com/")
        #expect(answer.error == "token_validation_failed")
      }
    }

    @Test("While the key set cannot be read the minted token is held, not minted again")
    func heldToken() async throws {
      try await withBroker(["BROKER_LOG_LEVEL": "debug"]) { tenant, broker in
        tenant.tenant.setKeySet(.failing)
        async let answer = broker.token("https://api.example.com/")
        await tenant.wait { $0.keySetRequests >= 3 }
        tenant.tenant.setKeySet(.normal)
        let status = try await answer.status
        #expect(status == 200)
        #expect(tenant.tenant.statistics.mints == 1)
      }
    }

    @Test("After a key rotation old tokens stay")
    func rotation() async throws {
      try await withBroker { tenant, broker in
        let old = try await broker.token("https://api.example.com/")
        try tenant.tenant.rotateKey(revokingPrevious: false)
        #expect(try await broker.token("https://api.example.com/").token == old.token)
        #expect(tenant.tenant.statistics.keySetRequests == 1)
      }
    }

    @Test(
      "A tenant whose certificate cannot be verified is never given the secret",
      arguments: ["wrong host", "expired", "unknown"])
    func certificates(_ kind: String) async throws {
      let environment = kind == "unknown" ? ["AUTH0_CA_FILE": ""] : [:]
      try await withBroker(
        environment,
        { options in
          options.certificate = kind == "wrong host" ? .wrongHost : kind == "expired" ? .expired : .valid
        }
      ) { tenant, broker in
        let answer = try await broker.token("https://api.example.com/")
        #expect(answer.status == 503 && answer.error == "upstream_unavailable")
        #expect(tenant.tenant.statistics.tokenRequests == 0)
      }
    }

    @Test("Refused credentials make the broker unready, and it recovers; of two secrets the accepted one is found")
    func credentials() async throws {
      try await withTenant { tenant in
        let file = try tenant.file("secret", "not-the-secret\n\(tenant.secret)\n")
        var environment = tenant.environment
        environment["AUTH0_CLIENT_SECRET"] = nil
        environment["AUTH0_CLIENT_SECRET_FILE"] = file
        let broker = try await BrokerProcess(environment: environment)
        #expect(try await broker.token("https://api.example.com/").status == 200)
        #expect(tenant.tenant.statistics.tokenRequests == 2)

        tenant.tenant.accept(secrets: ["another"])
        #expect(try await broker.token("https://ledger.example.com/").error == "broker_misconfigured")
        let unready = try await Answer.curl([broker.url + "/readyz"])
        #expect(unready.status == 503 && unready.body.contains("credentials"))
        #expect(try await Answer.curl([broker.url + "/healthz"]).status == 200)
        #expect(try await broker.token("https://api.example.com/").status == 200, "what is cached is served")

        _ = try tenant.file("secret", "another\n")
        try await broker.wait(forLog: "the client secret has changed")
        #expect(try await broker.token("https://ledger.example.com/").status == 200)
        #expect(try await Answer.curl([broker.adminURL + "/readyz"]).status == 200)
      }
    }

    @Test("Neither secret nor token is in the logs, the command line or any error, at the most talkative")
    func leaks() async throws {
      try await withBroker(["BROKER_LOG_LEVEL": "trace"]) { tenant, broker in
        var said: [String] = []
        let token = try #require(try await broker.token("https://api.example.com/").token)
        for fault in Fault.allCases where ![.stall, .slow].contains(fault) {
          let answer = try await broker.token(fault.audience)
          if answer.status != 200 { said.append(answer.head + answer.body) }
        }
        said.append(try String(contentsOfFile: "/proc/\(broker.child.identifier)/cmdline", encoding: .utf8))
        said.append(broker.child.errors)
        said.append(broker.child.output)
        for text in said {
          #expect(!text.contains(tenant.secret) && !text.contains(token) && !text.contains("eyJ"))
        }
        #expect(broker.child.errors.contains("token minted"), "there are logs to look at")
      }
    }
  }
}
