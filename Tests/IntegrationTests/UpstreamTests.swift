import DevTenant
import Foundation
import TestSupport
import Testing

extension LoadTests {
  /// How the broker speaks with its tenant: over which connections, and in which version of HTTP.
  @Suite struct UpstreamTests {
    /// Asks for so many audiences that nobody has asked for, and returns what the tenant has counted.
    private func ask(
      for count: Int, atOnce: Int, _ change: (inout DevTenant.Options) -> Void = { _ in }
    ) async throws -> Statistics {
      var statistics: Statistics?
      let audiences = (0..<count).map { "https://\($0).example.com/" }
      try await withTenant { options in
        options.audiences = Dictionary(uniqueKeysWithValues: audiences.map { ($0, []) })
        change(&options)
      } _: { tenant in
        tenant.tenant.setLatency(.milliseconds(atOnce > 1 ? 50 : 0))
        let broker = try await tenant.broker(configuration: "upstream: {maxConcurrent: 1000}\n")
        for start in stride(from: 0, to: count, by: atOnce) {
          let clients = try audiences[start..<min(count, start + atOnce)].map { audience in
            let client = try RawClient(port: broker.port, timeout: 60)
            try client.send(API.request(audience))
            return client
          }
          for client in clients {
            let answer = try await client.readResponse()
            #expect(answer.head.hasPrefix("HTTP/1.1 200 "), "\(answer.body)")
          }
        }
        statistics = tenant.tenant.statistics
        try await broker.end()
      }
      return try #require(statistics)
    }

    @Test("By HTTP/2 a thousand cold audiences at once cost a mint each, over four connections at the most")
    func multiplexed() async throws {
      let statistics = try await ask(for: 1000, atOnce: 1000)
      #expect(statistics.mints == 1000 && statistics.mintsByAudience.count == 1000)
      #expect((1...4).contains(statistics.connections), "\(statistics.connections)")
    }

    @Test(
      "A tenant that ends its connections again and again fails no caller and costs no token",
      arguments: [(true, 100), (true, 1), (false, 100), (false, 1)])
    func shortLived(_ offersHTTP2: Bool, _ atOnce: Int) async throws {
      let statistics = try await ask(for: 200, atOnce: atOnce) { options in
        options.offersHTTP2 = offersHTTP2
        options.requestsPerConnection = 3
      }
      #expect(statistics.tokenRequests == 200 && statistics.mints == 200)
      // By HTTP/2 what is already under way is answered too, and that may be a hundred.
      #expect(statistics.connections >= (offersHTTP2 && atOnce > 1 ? 2 : 201 / 3), "\(statistics.connections)")
    }

    @Test("A tenant that speaks only HTTP/1.1 gets 64 connections at the most")
    func http1() async throws {
      let statistics = try await ask(for: 300, atOnce: 300) { $0.offersHTTP2 = false }
      #expect(statistics.mints == 300 && statistics.mintsByAudience.count == 300)
      #expect((5...64).contains(statistics.connections), "\(statistics.connections)")
    }
  }
}
