import Basics
import DevTenant
import Foundation
import TestSupport
import Testing

extension LoadTests {
  /// What callers must not notice.
  @Suite struct RefreshTests {
    /// Seconds of load; more with `LOAD_SECONDS`. A token lives four: time for three to be replaced.
    private static let seconds = ProcessInfo.processInfo.environment["LOAD_SECONDS"].flatMap { Int($0) } ?? 12
    private static let lifetime = 4

    @Test("Under load, from a tenant that fails every other time, no caller of short-lived tokens sees an error")
    func failingTenant() async throws {
      try await withBroker([:], { $0.lifetime = Self.lifetime }) { tenant, broker in
        #expect(try await broker.token(API.path).status == 200)
        tenant.tenant.play(
          Array(repeating: [.serverErrorHTML, .rfc9068], count: 10 + Self.seconds).flatMap { $0 }, for: API.audience)
        let (answers, errors) = try await Self.load(broker)
        let (mints, requests) = (tenant.tenant.statistics.mints, tenant.tenant.statistics.tokenRequests)
        // A token must be replaced when an eighth of its life is left.
        let least = Int((Double(Self.seconds) / (0.875 * Double(Self.lifetime))).rounded(.up))
        print("\(answers) answers, \(errors.count) errors, \(mints) mints of at least \(least), \(requests) requests")
        #expect(errors.isEmpty, "\(errors.first ?? "")")
        #expect(mints <= 2 * least + 1)
        #expect(requests > mints, "the tenant has failed now and then")
      }
    }

    /// Asks without a pause.
    private static func load(_ broker: BrokerProcess) async throws -> (answers: Int, errors: [String]) {
      let end = Instant.now.advanced(by: .seconds(seconds))
      var (answers, errors) = (0, [String]())
      while Instant.now < end {
        // None may ask for ever on one connection.
        let client = try RawClient(port: broker.port)
        for _ in 0..<1000 {
          try client.send(API.request())
          let answer = try await client.readResponse()
          answers += 1
          if !answer.head.hasPrefix("HTTP/1.1 200 ") { errors.append(answer.body) }
        }
      }
      return (answers, errors)
    }

    @Test("While the tenant limits, five thousand callers cost one request, and each is told when to come back")
    func rateLimit() async throws {
      try await withBroker { tenant, broker in
        // Retry-After: 30.
        tenant.tenant.play([.rateLimitedSeconds], for: API.audience)
        let clients = try (0..<1000).map { _ in try RawClient(port: broker.port, timeout: 60) }
        for _ in 0..<5 { for client in clients { try client.send(API.request()) } }
        for client in clients {
          for _ in 0..<5 {
            let answer = try await client.readResponse()
            #expect(answer.head.hasPrefix("HTTP/1.1 503 ") && answer.body.contains("upstream_rate_limited"))
            let seconds = answer.head.firstMatch(of: /\r\nRetry-After: (\d+)\r\n/).flatMap { Int($0.1) }
            #expect(seconds.map((1...30).contains) == true, "\(answer.head)")
          }
        }
        #expect(tenant.tenant.statistics.tokenRequests == 1)
      }
    }

    /// How Kubernetes and others put a new secret in the place of the old one.
    enum Replacement: CaseIterable { case inPlace, swappedLink }

    @Test("A secret that is changed in its file under load fails no caller", arguments: Replacement.allCases)
    func secretRotation(_ replacement: Replacement) async throws {
      // The tokens' life is what a rotation takes: two more of them must have been minted with the new secret.
      try await withTenant({ $0.lifetime = 2 }) { tenant in
        func put(_ secret: String) throws -> String {
          switch replacement {
          case .inPlace: try tenant.file("secret", secret + "\n")
          case .swappedLink: try tenant.mount("secret", secret)
          }
        }
        var environment = tenant.environment
        environment["AUTH0_CLIENT_SECRET"] = nil
        environment["AUTH0_CLIENT_SECRET_FILE"] = try put(tenant.secret)
        let broker = try await BrokerProcess(environment: environment)
        #expect(try await broker.token(API.path).status == 200)
        let client = try RawClient(port: broker.port)
        var failed = 0
        for rotation in 1...2 {
          let next = "secret-\(rotation)"
          _ = try put(next)
          // The tenant changes its mind a little later than the file, and refuses the old one then.
          try await broker.child.wait(forLog: "the client secret has changed", times: rotation)
          tenant.tenant.accept(secrets: [next])
          let mints = tenant.tenant.statistics.mints
          for _ in 0..<100_000 where tenant.tenant.statistics.mints < mints + 2 {
            try client.send(API.request())
            if try await client.readResponse().head.hasPrefix("HTTP/1.1 200 ") == false { failed += 1 }
          }
          #expect(tenant.tenant.statistics.mints >= mints + 2)
        }
        #expect(failed == 0)
        #expect(!broker.child.errors.contains("secret-1"))
      }
    }
  }
}
