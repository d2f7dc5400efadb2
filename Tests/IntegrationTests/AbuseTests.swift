import DevTenant
import Foundation
import TestSupport
import Testing

extension LoadTests {
  /// What hostile clients do, and what others notice of it.
  @Suite struct AbuseTests {
    // MARK: More connections than there is room for

    /// What there is too little of.
    enum Shortage: CaseIterable { case descriptors, connections }

    /// Runs a broker that has served `kept` and has no room for the last of `flood`.
    private func withFlood(
      _ shortage: Shortage, _ body: (BrokerProcess, _ kept: RawClient, _ flood: inout [RawClient]) async throws -> Void
    ) async throws {
      try await withBroker(descriptors: shortage == .connections ? 256 : nil) { _, broker in
        let kept = try RawClient(port: broker.port)
        try kept.send(API.request())
        #expect(try await kept.readResponse().head.hasPrefix("HTTP/1.1 200 "))
        var flood: [RawClient] = []
        switch shortage {
        case .descriptors:
          // Less than it has found at its start, and set its limit on connections by.
          let limited = try await ChildProcess.run(
            "prlimit", ["--pid=\(broker.child.identifier)", "--nofile=\(broker.openDescriptors + 16)"])
          #expect(limited.status == 0, "\(limited.errors)")
          flood += try (0..<200).map { _ in try RawClient(port: broker.port) }
        case .connections:
          try await fill(broker, &flood)
          flood += try (0..<300).map { _ in try RawClient(port: broker.port) }
        }
        try await body(broker, kept, &flood)
      }
    }

    /// Connects as many as there is room for beside the one that is connected, and waits until all are taken.
    private func fill(_ broker: BrokerProcess, _ flood: inout [RawClient]) async throws {
      #expect(broker.child.errors.contains("\"connections\":48,"), "\(broker.child.errors)")
      flood += try (0..<47).map { _ in try RawClient(port: broker.port) }
      try await broker.waitForConnections(48)
    }

    @Test("Without room for one more, some of those who connect are told 503", arguments: Shortage.allCases)
    func refused(_ shortage: Shortage) async throws {
      try await withFlood(shortage) { _, _, flood in
        let isRefused = try await RawClient.isAnyRefused(of: flood)
        #expect(isRefused)
      }
    }

    @Test("Without room for one more, those who are connected are served", arguments: Shortage.allCases)
    func connected(_ shortage: Shortage) async throws {
      try await withFlood(shortage) { _, kept, _ in
        try kept.send(API.request())
        #expect(try await kept.readResponse().head.hasPrefix("HTTP/1.1 200 "))
      }
    }

    @Test("When a flood of connections is gone, new ones are served", arguments: Shortage.allCases)
    func recovered(_ shortage: Shortage) async throws {
      try await withFlood(shortage) { broker, _, flood in
        #expect(try await RawClient.isAnyRefused(of: flood))
        flood.removeAll()
        try await eventually("room again") { (try? await broker.token(API.path))?.status == 200 }
      }
    }

    @Test("Without room on one listener, the other is served")
    func otherListener() async throws {
      try await withFlood(.connections) { broker, _, _ in
        let answer = try await Answer.curl([broker.adminURL + "/healthz"])
        #expect(answer.status == 200)
      }
    }

    @Test("Beyond the limit on connections a probe is answered", arguments: ["/healthz", "/readyz"])
    func probe(_ path: String) async throws {
      try await withBroker(descriptors: 256) { _, broker in
        var held = [try RawClient(port: broker.port)]
        try await fill(broker, &held)
        #expect(try await Answer.curl([broker.url + path]).status == 200)
      }
    }

    @Test("Beyond the limit on connections a caller is told that the broker is overloaded, and when to come back")
    func overloaded() async throws {
      try await withBroker(descriptors: 256) { _, broker in
        var held = [try RawClient(port: broker.port)]
        try await fill(broker, &held)
        let answer = try await broker.token(API.path)
        #expect(answer.status == 503 && answer.error == "overloaded" && answer.field("retry-after") == "1")
      }
    }

    // MARK: Slow clients

    private static let shortTimes = "limits: {headerTimeout: 3s, bodyTimeout: 3s, writeTimeout: 3s}\n"
    private static let slowHeader = "GET /token/\(API.path) HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
    private static let slowBody = "GET /token/\(API.path) HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10000\r\n\r\n"

    @Test(
      "Who sends a header or a body a byte at a time is told 408 when its time is over",
      arguments: [slowHeader, slowBody])
    func slowSender(_ start: String) async throws {
      try await withBroker(configuration: Self.shortTimes) { _, broker in
        let client = try RawClient(port: broker.port)
        try client.send(start)
        #expect(try await client.drip("a", pause: 100).hasPrefix("HTTP/1.1 408 "))
      }
    }

    /// A client that asks until the broker takes no more, because it waits for this client to read.
    private func stuckReader(_ broker: BrokerProcess) throws -> RawClient {
      let reader = try RawClient(port: broker.port, timeout: 1)
      let many = String(repeating: API.request(), count: 1000)
      #expect(throws: RawClient.Failure.self) { for _ in 0..<1000 { try reader.send(many) } }
      return reader
    }

    @Test("Who never reads is reset when the time for writing is over")
    func slowReader() async throws {
      try await withBroker(configuration: Self.shortTimes) { _, broker in
        #expect(try await broker.token(API.path).status == 200)
        let reader = try stuckReader(broker)
        #expect(await reader.isReset(within: 20))
      }
    }

    @Test("Connections that are stuck use no processor time, and others are served meanwhile")
    func stuck() async throws {
      try await withBroker(configuration: Self.shortTimes) { _, broker in
        #expect(try await broker.token(API.path).status == 200)
        let reader = try stuckReader(broker)
        let senders = [try RawClient(port: broker.port), try RawClient(port: broker.port)]
        try senders[0].send(Self.slowHeader)
        try senders[1].send(Self.slowBody)
        let before = broker.processorTicks
        #expect(try await broker.token(API.path).status == 200)
        for sender in senders { #expect(try await sender.readToEnd().hasPrefix("HTTP/1.1 408 ")) }
        // Three seconds: a loop that turned on any of them would use up most of that.
        #expect(broker.processorTicks - before < 60, "\(broker.processorTicks - before) ticks")
        withExtendedLifetime(reader) {}
      }
    }

    // MARK: Many clients

    /// Connects by the thousand and leaves at once, in the midst of a request or by a reset now and then.
    private func storm(_ broker: BrokerProcess) async throws {
      for number in 0..<6000 {
        let client = try RawClient(port: broker.port)
        if number % 3 == 0 { try client.send("GET /token/") }
        if number % 2 == 0 { client.abandon() }
      }
      #expect(try await broker.token(API.path).status == 200)
    }

    @Test("A storm of connections that leave at once leaves no descriptor open")
    func stormLeavesNothing() async throws {
      try await withBroker { _, broker in
        #expect(try await broker.token(API.path).status == 200)
        let open = broker.openDescriptors
        try await storm(broker)
        try await eventually("no more descriptors than before") { broker.openDescriptors <= open }
      }
    }

    @Test("A storm of connections that leave at once leaves no loop that spins")
    func stormLeavesNoLoop() async throws {
      try await withBroker(configuration: "limits: {headerTimeout: 2s}\n") { _, broker in
        try await storm(broker)
        // A connection that says nothing is closed after the time for a header: two seconds with nothing else to do.
        let silent = try RawClient(port: broker.port)
        let before = broker.processorTicks
        #expect(try await silent.readToEnd() == "")
        #expect(broker.processorTicks - before < 40, "\(broker.processorTicks - before) ticks")
      }
    }

    /// In KiB. A debug build; the benchmark measures the release.
    private static let little = 16 * 1024 * Sanitizer.memoryFactor

    @Test("Idle connections and dripped headers by the thousand take little memory, and others are served")
    func flood() async throws {
      try await withBroker { _, broker in
        #expect(try await broker.token(API.path).status == 200)
        let before = broker.residentKiB
        let idle = try (0..<1000).map { _ in try RawClient(port: broker.port) }
        let drippers = try (0..<1000).map { _ in try RawClient(port: broker.port) }
        for client in drippers { try client.send("GET /token/\(API.path) HTTP/1.1\r\nHost: ") }
        for _ in 0..<20 { #expect(try await broker.token(API.path, "--max-time", "5").status == 200) }
        #expect(broker.residentKiB - before < Self.little)
        withExtendedLifetime((idle, drippers)) {}
      }
    }

    @Test("A client that asks and never reads is held to its socket's buffers")
    func neverReads() async throws {
      try await withBroker { _, broker in
        #expect(try await broker.token(API.path).status == 200)
        let before = broker.residentKiB
        // Socket buffers grow to some megabytes.
        let stuck = try stuckReader(broker)
        let others = try (0..<19).map { _ in try RawClient(port: broker.port) }
        for client in others { try client.send(String(repeating: API.request(), count: 200)) }
        #expect(try await broker.token(API.path, "--max-time", "5").status == 200)
        #expect(broker.residentKiB - before < Self.little)
        withExtendedLifetime((stuck, others)) {}
      }
    }
  }
}
