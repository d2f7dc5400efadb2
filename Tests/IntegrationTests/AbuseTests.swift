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
        let broker = try await BrokerProcess(environment: tenant.environment)
        #expect(try await broker.token(Self.api).status == 200)
        let kept = try RawClient(port: broker.port)
        try kept.send(Self.request)
        _ = try await kept.readResponse()

        // Less than it has found at its start, and set its limit on connections by.
        let limited = try await ChildProcess.run(
          "prlimit", ["--pid=\(broker.child.identifier)", "--nofile=\(broker.openDescriptors + 16)"])
        #expect(limited.status == 0, "\(limited.errors)")
        var flood = try (0..<200).map { _ in try RawClient(port: broker.port) }
        try await outlast(&flood, broker, kept)
      }
    }

    @Test("Beyond the limit callers are told 503 or answered a probe; those connected stay; then there is room again")
    func connectionFlood() async throws {
      try await withTenant { tenant in
        let broker = try await BrokerProcess(environment: tenant.environment, descriptors: 256)
        #expect(broker.child.errors.contains("\"connections\":\"48\""), "\(broker.child.errors)")
        let kept = try RawClient(port: broker.port)
        try kept.send(Self.request)
        _ = try await kept.readResponse()
        var flood = try (0..<48).map { _ in try RawClient(port: broker.port) }
        for path in ["/healthz", "/readyz"] {
          let answer = try await Answer.curl([broker.url + path])
          #expect(answer.status == 200)
        }
        let refused = try await broker.token(Self.api)
        #expect(refused.status == 503)
        #expect(refused.error == "overloaded")
        #expect(refused.field("retry-after") == "1")

        flood += try (0..<300).map { _ in try RawClient(port: broker.port) }
        #expect(try await Answer.curl([broker.adminURL + "/healthz"]).status == 200)
        try await outlast(&flood, broker, kept)
      }
    }

    /// The last of the flood is refused, who was there before is served on, and when the flood is gone there is room again.
    private func outlast(_ flood: inout [RawClient], _ broker: BrokerProcess, _ kept: RawClient) async throws {
      #expect(try await flood.last?.readToEnd().hasPrefix("HTTP/1.1 503 ") == true)
      try kept.send(Self.request)
      #expect(try await kept.readResponse().head.hasPrefix("HTTP/1.1 200 "))

      flood.removeAll()
      let again = try await Answer.curl([
        broker.url + "/token/\(Self.api)", "--retry", "50", "--retry-all-errors", "--retry-max-time", "20",
      ])
      #expect(again.status == 200)
    }

    @Test("Slow senders get 408 when their time is over, however they trickle; who never reads is reset; nothing spins")
    func slowClients() async throws {
      try await withBroker { _, broker in
        #expect(try await broker.token(Self.api).status == 200)
        let head = try RawClient(port: broker.port, timeout: 20)
        let body = try RawClient(port: broker.port, timeout: 20)
        let reader = try RawClient(port: broker.port, timeout: 1)
        // Until nothing more is taken: from then on the broker waits for the reader, and requests wait for the broker.
        do {
          while true { try reader.send(String(repeating: Self.request, count: 100)) }
        } catch is RawClient.Failure {}
        let before = broker.processorTicks
        try head.send("GET /token/\(Self.api) HTTP/1.1\r\nHost: a\r\nX-Slow: ")
        try body.send("GET /token/\(Self.api) HTTP/1.1\r\nHost: a\r\nContent-Length: 10000\r\n\r\n")
        async let slowHead = head.drip("a", pause: 100)
        async let slowBody = body.drip("a", pause: 100)
        async let isReset = reader.isReset(within: 30)
        #expect(try await slowHead.hasPrefix("HTTP/1.1 408 "))
        #expect(try await slowBody.hasPrefix("HTTP/1.1 408 "))
        #expect(await isReset)
        // Ten seconds of three stuck connections: a loop that turned on any of them would use up most of that.
        #expect(broker.processorTicks - before < 200, "\(broker.processorTicks - before) ticks")
        #expect(try await broker.token(Self.api).status == 200)
      }
    }

    @Test("A storm of connections that leave at once leaves nothing behind, and no loop that spins")
    func acceptStorm() async throws {
      try await withBroker { _, broker in
        #expect(try await broker.token(Self.api).status == 200)
        let open = broker.openDescriptors
        for number in 0..<6000 {
          let client = try RawClient(port: broker.port)
          if number % 3 == 0 { try client.send("GET /token/") }
          if number % 2 == 0 { client.abandon() }
        }
        #expect(try await broker.token(Self.api).status == 200)
        // A connection that says nothing is closed after the time for a header: a stretch with nothing else to do.
        let silent = try RawClient(port: broker.port, timeout: 20)
        let before = broker.processorTicks
        #expect(try await silent.readToEnd() == "")
        #expect(broker.processorTicks - before < 50, "\(broker.processorTicks - before) ticks")
        #expect(broker.openDescriptors <= open)
      }
    }

    /// In KiB. A debug build; the benchmark measures the release.
    private static let little = 16 * 1024 * Sanitizer.memoryFactor

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
        #expect(broker.residentKiB - before < Self.little)
        withExtendedLifetime((idle, drippers)) {}
      }
    }

    @Test("A client that asks and never reads is held to its socket's buffers")
    func neverReads() async throws {
      try await withBroker { _, broker in
        #expect(try await broker.token(Self.api).status == 200)
        let before = broker.residentKiB
        let clients = try (0..<20).map { _ in try RawClient(port: broker.port, timeout: 1) }
        // Until nothing more is taken: then the broker has stopped reading. Socket buffers grow to some megabytes.
        let many = String(repeating: Self.request, count: 1000)
        #expect(throws: RawClient.Failure.self) { for _ in 0..<1000 { try clients[0].send(many) } }
        for client in clients.dropFirst() { try client.send(String(repeating: Self.request, count: 200)) }
        #expect(try await broker.token(Self.api, "--max-time", "5").status == 200)
        #expect(broker.residentKiB - before < Self.little)
      }
    }
  }
}
