import Clocks
import Logging
import OAuth
import Synchronization
import Testing

@testable import TokenBroker

@Suite(.timeLimit(.minutes(1))) struct BrokerTests {
  private let key = TokenKey(client: "default", grant: Grant(audience: "https://api/"))

  private static func minted(_ name: String) -> MintedToken {
    let now = Instant.now
    return MintedToken(
      accessToken: AccessToken(name), scope: nil, keyID: nil, mintedAt: now,
      expiresAt: now.advanced(by: .seconds(3600)),
      quota: [], upstreamRequestID: nil)
  }

  private func broker(
    timeout: Duration = .seconds(30), health: Health = Health(),
    publish: @escaping @Sendable (Broker.Publication) -> Void = { _ in }, mint: @escaping Broker.Mint
  ) -> Broker {
    Broker(
      requestTimeout: timeout, health: health, log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
      publish: publish, mint: mint)
  }

  @Test("A thousand callers of a cold key cost one mint, published once, though some give up")
  func singleFlight() async throws {
    let mints = Atomic(0)
    let published = Atomic(0)
    let (gate, open) = AsyncStream<Void>.makeStream()
    let broker = broker(publish: { _ in published.add(1, ordering: .relaxed) }) { _, _, _ throws(TokenError) in
      mints.add(1, ordering: .relaxed)
      for await _ in gate { break }
      return Self.minted("t")
    }
    try await withThrowingTaskGroup(of: String.self) { group in
      var impatient: [Task<Void, any Error>] = []
      for index in 0..<1000 {
        if index % 5 == 0 {
          impatient.append(Task { _ = try await broker.token(key) })
        } else {
          group.addTask { try await broker.token(key).minted.accessToken.value }
        }
      }
      for task in impatient { task.cancel() }
      open.yield()
      for try await token in group { #expect(token == "t") }
    }
    #expect(mints.load(ordering: .relaxed) == 1)
    #expect(published.load(ordering: .relaxed) == 1)
  }

  @Test("A fetch that never ends costs its waiters only their own time")
  func timeout() async {
    let (never, end) = AsyncStream<Void>.makeStream()
    let broker = broker(timeout: .milliseconds(50)) { _, _, _ throws(TokenError) in
      for await _ in never {}
      throw TokenError(code: .upstreamUnavailable, message: "ended")
    }
    let error = await #expect(throws: TokenError.self) { try await broker.token(key) }
    #expect(error?.code == .upstreamTimeout)
    end.finish()
  }

  @Test("A client refused by upstream makes the broker unready, until it is accepted again")
  func readiness() async throws {
    let health = Health()
    let accepted = Atomic(false)
    let broker = broker(health: health) { _, _, _ throws(TokenError) in
      if accepted.load(ordering: .relaxed) { return Self.minted("t") }
      throw TokenError(code: .brokerMisconfigured, message: "Auth0 refuses the client")
    }
    _ = try? await broker.token(key)
    #expect(health.reasonsNotReady(at: .now) == ["client 'default': Auth0 refuses the client"])
    #expect(health.reasonsNotReady(at: .now.advanced(by: .seconds(61))).isEmpty, "what is known grows old")
    accepted.store(true, ordering: .relaxed)
    await broker.credentialsChanged(client: "default")
    _ = try await broker.token(key)
    #expect(health.reasonsNotReady(at: .now).isEmpty)
    health.drain()
    #expect(health.reasonsNotReady(at: .now).count == 1)
  }
}
