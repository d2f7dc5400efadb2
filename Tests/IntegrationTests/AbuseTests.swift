import DevTenant
import Foundation
import TestSupport
import Testing

extension IntegrationTests {
  /// What hostile clients do, and what others notice of it.
  @Suite struct AbuseTests {
    private static let api = "https%3A%2F%2Fapi.example.com%2F"
    private static let request = "GET /token/\(api) HTTP/1.1\r\nHost: a\r\n\r\n"

    @Test("Out of descriptors, clients are told so, those connected are served, and afterwards all is well")
    func descriptors() async throws {
      try await withTenant { tenant in
        let broker = try await BrokerProcess(environment: tenant.environment, descriptors: 64)
        #expect(try await broker.token(Self.api).status == 200)
        let kept = try RawClient(port: broker.port)
        try kept.send(Self.request)
        _ = try await kept.readResponse()

        var flood = try (0..<200).map { _ in try RawClient(port: broker.port) }
        let last = try #require(flood.last)
        #expect(try await last.readToEnd().hasPrefix("HTTP/1.1 503 "))
        try kept.send(Self.request)
        #expect(try await kept.readResponse().head.hasPrefix("HTTP/1.1 200 "))

        flood.removeAll()
        let again = try await Answer.curl([
          broker.url + "/token/\(Self.api)", "--retry", "50", "--retry-all-errors", "--retry-max-time", "20",
        ])
        #expect(again.status == 200)
      }
    }

    @Test("Idle connections and dripped headers by the thousand leave others served, at little memory each")
    func flood() async throws {
      try await withBroker { _, broker in
        #expect(try await broker.token(Self.api).status == 200)
        let before = broker.residentKiB
        let idle = try (0..<1000).map { _ in try RawClient(port: broker.port) }
        let drippers = try (0..<1000).map { _ in try RawClient(port: broker.port) }
        for client in drippers { try client.send("GET /token/\(Self.api) HTTP/1.1\r\nHost: ") }
        for _ in 0..<20 {
          let answer = try await broker.token(Self.api, "--max-time", "5")
          #expect(answer.status == 200)
        }
        #expect(try await Answer.curl([broker.url + "/healthz", "--max-time", "5"]).status == 200)
        // A debug build; the benchmark measures the release.
        #expect(broker.residentKiB - before < 16 * 1024, "\(broker.residentKiB - before) KiB for 2000 connections")
        withExtendedLifetime((idle, drippers)) {}
      }
    }

    @Test("A client that asks and never reads is held to its socket's buffers")
    func neverReads() async throws {
      try await withBroker { _, broker in
        #expect(try await broker.token(Self.api).status == 200)
        let before = broker.residentKiB
        let clients = try (0..<20).map { _ in try RawClient(port: broker.port, timeout: 1) }
        for client in clients {
          // Until nothing more is taken: then the broker has stopped reading.
          do {
            for _ in 0..<2000 { try client.send(String(repeating: Self.request, count: 20)) }
          } catch is RawClient.Failure {}
          break
        }
        for client in clients.dropFirst() { try client.send(String(repeating: Self.request, count: 200)) }
        #expect(try await broker.token(Self.api, "--max-time", "5").status == 200)
        #expect(broker.residentKiB - before < 16 * 1024, "\(broker.residentKiB - before) KiB")
      }
    }
  }
}
