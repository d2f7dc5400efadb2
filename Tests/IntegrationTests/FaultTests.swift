import DevTenant
import Foundation
import TestSupport
import Testing

extension IntegrationTests {
  /// Everything the tenant can do wrong, against the real binary.
  @Suite struct FaultTests {
    /// What a caller is answered, and whether it may soon be over.
    private static func expectation(_ fault: Fault) -> (status: Int, error: String, passes: Bool) {
      switch fault {
      case .algNone, .hs256WithRSAKey, .wrongIssuer, .audiencePrefix, .expired, .notBeforeAhead, .issuedAhead,
        .flippedSignature, .unpublishedKey, .twoSegments, .fourSegments, .opaque, .jwe, .confirmation, .dpop:
        (502, "token_validation_failed", false)
      case .zeroExpiresIn, .negativeExpiresIn, .duplicateAccessToken, .crlfInToken, .tenMegabytes, .gzip:
        (502, "invalid_upstream_response", false)
      case .html, .empty, .truncatedJSON, .redirect, .notFound: (502, "invalid_upstream_response", true)
      case .truncated, .reset, .halfClose, .serverErrorJSON, .serverErrorHTML, .blockedHTML, .temporarilyUnavailable:
        (503, "upstream_unavailable", true)
      case .stall: (504, "upstream_timeout", true)
      case .badCredentials, .invalidClient: (502, "broker_misconfigured", false)
      case .serviceNotEnabled, .serviceNotFound: (404, "unknown_audience", false)
      case .unknownOrganization: (400, "invalid_request", false)
      case .notAuthorized, .scopeNotGranted, .grantNotAllowed: (403, "audience_not_granted", false)
      case .rateLimited, .rateLimitedSeconds, .rateLimitedDate, .quotaExceeded, .globalLimit, .globalLimitAs500:
        (503, "upstream_rate_limited", true)
      case .audienceArray, .rfc9068, .lowerCaseBearer, .noExpiresIn, .stringExpiresIn, .hugeExpiresIn, .narrowedScope,
        .chunked, .byteAtATime, .slow, .staleKeepAlive, .watchedQuota:
        (200, "", false)
      }
    }

    @Test("Each fault of the tenant has its own answer, and a refusal is remembered", arguments: Fault.allCases)
    func fault(_ fault: Fault) async throws {
      // A tenant that never answers is given up after a second.
      try await withBroker(configuration: fault == .stall ? "upstream: {timeout: 1s}\n" : nil) { tenant, broker in
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
        #expect(answer.field("retry-after") != nil, "it is remembered for a while, and nobody need guess for how long")
        let requests = tenant.tenant.statistics.tokenRequests
        tenant.tenant.play([.lowerCaseBearer], for: fault.audience)
        let again = try await broker.token(fault.audience)
        if !expected.passes {
          #expect(again.error == expected.error)
          #expect(tenant.tenant.statistics.tokenRequests == requests, "a refusal is not asked for again at once")
        }
        #expect(tenant.tenant.statistics.redirectsFollowed == 0)
      }
    }

    @Test(
      "Retry-After is the time that the tenant has told",
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

    @Test("A glitch is over within seconds, not a minute", arguments: [Fault.empty, .html, .notFound])
    func glitch(_ fault: Fault) async throws {
      try await withBroker { tenant, broker in
        tenant.tenant.play([fault], for: API.audience)
        #expect(try await broker.token(API.path).field("retry-after") == "1")
        try await eventually("a token") { try await broker.token(API.path).status == 200 }
        #expect(tenant.tenant.statistics.tokenRequests == 2)
      }
    }

    @Test("A quota at zero that is only watched keeps no token from anybody")
    func watchedQuota() async throws {
      try await withBroker { tenant, broker in
        for organization in 1...10 {
          let answer = try await broker.token("\(Fault.watchedQuota.audience)?organization=org_\(organization)")
          #expect(answer.status == 200, "\(answer.body)")
        }
        #expect(tenant.tenant.statistics.mints == 10)
      }
    }

    @Test(
      "Other keys in the key set, or several under one name, do not keep the token's own from being found",
      arguments: [DevTenant.KeySetMode.decoys, .duplicateID])
    func oddKeySet(_ mode: DevTenant.KeySetMode) async throws {
      try await withBroker { tenant, broker in
        tenant.tenant.setKeySet(mode)
        let answer = try await broker.token(API.path)
        #expect(answer.status == 200)
      }
    }

    @Test("An empty key set lets no token through")
    func emptyKeySet() async throws {
      try await withBroker { tenant, broker in
        tenant.tenant.setKeySet(.empty)
        let answer = try await broker.token(API.path)
        #expect(answer.error == "token_validation_failed")
      }
    }

    @Test("While the key set cannot be read the minted token is held, not minted again")
    func heldToken() async throws {
      try await withBroker(["BROKER_LOG_LEVEL": "debug"]) { tenant, broker in
        tenant.tenant.setKeySet(.failing)
        async let answer = broker.token(API.path)
        await tenant.wait { $0.keySetRequests >= 3 }
        tenant.tenant.setKeySet(.normal)
        let status = try await answer.status
        #expect(status == 200)
        #expect(tenant.tenant.statistics.mints == 1)
      }
    }

    @Test("After a key rotation the token that is held is served, and the keys are not read again")
    func rotation() async throws {
      try await withBroker { tenant, broker in
        let old = try await broker.token(API.path)
        try tenant.tenant.rotateKey(revokingPrevious: false)
        #expect(try await broker.token(API.path).token == old.token)
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
        let answer = try await broker.token(API.path)
        #expect(answer.status == 503 && answer.error == "upstream_unavailable")
        #expect(tenant.tenant.statistics.tokenRequests == 0)
      }
    }

    /// Runs a broker that reads its secrets from a file with these in it.
    private func withSecrets(
      _ secrets: (Tenant) -> [String], _ body: (Tenant, BrokerProcess) async throws -> Void
    ) async throws {
      try await withTenant { tenant in
        var environment = tenant.environment
        environment["AUTH0_CLIENT_SECRET"] = nil
        environment["AUTH0_CLIENT_SECRET_FILE"] = try tenant.file("secret", secrets(tenant).joined(separator: "\n"))
        let broker = try await BrokerProcess(environment: environment)
        try await body(tenant, broker)
        try await broker.end()
      }
    }

    @Test("Of two secrets the one that is accepted is found")
    func twoSecrets() async throws {
      try await withSecrets({ ["not-the-secret", $0.secret] }) { tenant, broker in
        let answer = try await broker.token(API.path)
        #expect(answer.status == 200)
        #expect(tenant.tenant.statistics.tokenRequests == 2)
      }
    }

    @Test("A broker whose credentials are refused stays ready, and gives what it holds")
    func refusedCredentials() async throws {
      try await withSecrets({ [$0.secret] }) { tenant, broker in
        #expect(try await broker.token(API.path).status == 200)
        tenant.tenant.accept(secrets: ["another"])
        #expect(try await broker.token("https://ledger.example.com/").error == "broker_misconfigured")
        for probe in ["/readyz", "/healthz"] {
          let answer = try await Answer.curl([broker.url + probe])
          #expect(answer.status == 200)
        }
        #expect(try await broker.token(API.path).status == 200)
      }
    }

    @Test("A new secret in the file makes the broker ready again")
    func newSecret() async throws {
      try await withSecrets({ [$0.secret] }) { tenant, broker in
        tenant.tenant.accept(secrets: ["another"])
        #expect(try await broker.token("https://ledger.example.com/").error == "broker_misconfigured")
        _ = try tenant.file("secret", "another\n")
        try await broker.child.wait(forLog: "the client secret has changed")
        #expect(try await broker.token("https://ledger.example.com/").status == 200)
        #expect(try await Answer.curl([broker.adminURL + "/readyz"]).status == 200)
      }
    }

    @Test(
      "Whatever the tenant does, no secret and no token is in the most talkative log, an error or the command line",
      arguments: Fault.groups)
    func leaks(_ faults: [Fault]) async throws {
      try await withBroker(["BROKER_LOG_LEVEL": "trace"]) { tenant, broker in
        let answers = try await broker.provoke(faults).map(\.answer)
        var said = answers.filter { $0.status != 200 }.map { $0.head + $0.body }
        said.append(try String(contentsOfFile: "/proc/\(broker.child.identifier)/cmdline", encoding: .utf8))
        try await broker.end()
        said += [broker.child.errors, broker.child.output]
        for text in said {
          #expect(!text.contains(tenant.secret) && !text.contains("eyJ") && !text.contains("opaque-token"))
        }
        #expect(broker.child.errors.contains("no token"), "there are logs to look at")
      }
    }
  }
}
