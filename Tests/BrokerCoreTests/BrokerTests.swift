import Basics
import Logging
import OAuth
import Synchronization
import Testing

@testable import BrokerCore

@Suite(.timeLimit(.minutes(1))) struct BrokerTests {
  private let key = TokenKey(client: "default", grant: Grant(audience: "https://api/"))

  private func broker(
    rules: TokenCache.Rules = .init(), timeout: Duration = .seconds(30), health: Health = Health(),
    publish: @escaping @Sendable (Broker.Publication) -> Void = { _ in },
    mint: @escaping @Sendable (TokenKey, TraceContext?) async throws(TokenError) -> MintedToken
  ) -> Broker {
    Broker(
      rules: rules, requestTimeout: timeout, minter: StubMinter(answer: mint), health: health, log: .silent,
      publish: publish)
  }

  @Test("A thousand callers of a cold key cost one mint, published once, though some give up")
  func singleFlight() async throws {
    let mints = Atomic(0)
    let published = Atomic(0)
    let (gate, open) = AsyncStream<Void>.makeStream()
    let broker = broker(publish: { _ in published.add(1, ordering: .relaxed) }) { _, _ throws(TokenError) in
      mints.add(1, ordering: .relaxed)
      for await _ in gate { break }
      return mintedToken()
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
    let broker = broker(timeout: .milliseconds(50)) { _, _ throws(TokenError) in
      for await _ in never {}
      throw TokenError(cause: .upstreamUnavailable, message: "ended")
    }
    let error = await #expect(throws: TokenError.self) { try await broker.token(key) }
    #expect(error?.cause == .upstreamTimeout)
    end.finish()
  }

  @Test("A client refused by upstream makes a starting broker unready, and no other")
  func readiness() async throws {
    let health = Health()
    let accepted = Atomic(false)
    let broker = broker(health: health) { _, _ throws(TokenError) in
      if accepted.load(ordering: .relaxed) { return mintedToken() }
      throw TokenError(cause: .brokerMisconfigured, message: "Auth0 refuses the client")
    }
    health.start(until: .now.advanced(by: .seconds(60)), waitingForAll: false)
    #expect(health.reasonsNotReady(at: .now).isEmpty, "nothing was tried")
    _ = try? await broker.token(key)
    #expect(health.reasonsNotReady(at: .now) == ["starting: client 'default': Auth0 refuses the client"])
    #expect(health.reasonsNotReady(at: .now.advanced(by: .seconds(61))).isEmpty, "a start takes so long at the most")
    accepted.store(true, ordering: .relaxed)
    await broker.handle(.credentialsChanged("default"))
    #expect(health.reasonsNotReady(at: .now).isEmpty, "of the new ones nothing is known")
    _ = try await broker.token(key)
    accepted.store(false, ordering: .relaxed)
    _ = try? await broker.token(TokenKey(client: "default", grant: Grant(audience: "https://other/")))
    #expect(health.reasonsNotReady(at: .now).isEmpty, "it has served once")
    health.drain()
    #expect(health.reasonsNotReady(at: .now).count == 1)
  }

  @Test(
    "Until a key to be prefetched has a token, or each has, or its time is over, the broker is not ready",
    arguments: [false, true])
  func prefetch(waitsForAll: Bool) async throws {
    let (other, health) = (TokenKey(client: "default", grant: Grant(audience: "https://other/")), Health())
    let (published, publications) = AsyncStream<TokenKey>.makeStream()
    let open = Atomic(false)
    let broker = broker(health: health) {
      if case .current(let token) = $0 { publications.yield(token.key) }
    } mint: { [key] asked, _ throws(TokenError) in
      if asked == key || open.load(ordering: .relaxed) { return mintedToken() }
      throw TokenError(cause: .unknownAudience, message: "not yet")
    }
    func reasons(after seconds: Int = 0) -> [String] {
      health.reasonsNotReady(at: .now.advanced(by: .seconds(seconds)))
    }
    func configure(_ keys: Set<TokenKey>) async {
      await broker.configure(
        rules: TokenCache.Rules(), requestTimeout: .seconds(30), prefetched: keys, forgetting: [], announce: {})
    }
    await configure([other])
    #expect(reasons().isEmpty, "nobody has asked to wait")
    health.start(until: .now.advanced(by: .seconds(60)), waitingForAll: waitsForAll)
    await configure([key, other])
    for await key in published where key == self.key { break }
    guard waitsForAll else { return #expect(reasons().isEmpty, "the first is enough") }
    #expect(reasons() == ["starting: 1 of the prefetched tokens are not there yet"])
    #expect(reasons(after: 61).isEmpty, "it waits so long at the most")
    await configure([key])
    #expect(reasons().isEmpty, "a reload may give one up")
  }

  private static func request(_ id: String) -> RequestIdentity {
    RequestIdentity(
      id: id, trace: TraceContext(traceparent: "00-\(String(repeating: id, count: 32))-00f067aa0ba902b7-01"))
  }

  @Test("A fetch belongs to the trace of whoever asked first, and one to replace a token in time to none")
  func traces() async throws {
    let traces = Mutex<[String?]>([])
    let (gate, open) = AsyncStream<Void>.makeStream()
    let (fetches, begin) = AsyncStream<Void>.makeStream()
    var rules = TokenCache.Rules()
    rules.client.maxConcurrent = 1
    let broker = broker(rules: rules) { _, trace throws(TokenError) in
      #expect(trace?.spanID != "00f067aa0ba902b7", "it is a span of its own")
      let count = traces.withLock { traces in
        traces.append(trace.map { String($0.traceID.prefix(1)) })
        return traces.count
      }
      begin.yield()
      if count == 1 { for await _ in gate { break } }
      // The first two are due to be replaced as soon as they are there.
      let age = count < 3 ? 3600.0 : 0
      return mintedToken("t\(count)", at: Instant.now.advanced(by: .seconds(-age)), lifetime: age + 60)
    }
    func ask(_ audience: String, _ id: String, waiting count: Int) async -> Task<CachedToken, any Error> {
      let key = TokenKey(client: "default", grant: Grant(audience: audience))
      let task = Task { try await broker.token(key, for: Self.request(id)) }
      while await broker.waiting.count < count { await Task.yield() }
      return task
    }
    // One goes out, the others wait for its end: of those for the same token the first counts.
    let tasks = [
      await ask("https://other/", "a", waiting: 1), await ask("https://other/", "b", waiting: 2),
      await ask("https://api/", "c", waiting: 3), await ask("https://api/", "d", waiting: 4),
    ]
    open.yield()
    for task in tasks { _ = try await task.value }
    var begun = fetches.makeAsyncIterator()
    for _ in 0..<4 { _ = await begun.next() }
    // Whoever is answered from what is held causes nothing, now or later.
    _ = try await broker.token(key, for: Self.request("e"))
    #expect(traces.withLock(\.self) == ["a", "c", nil, nil])
    #expect(await broker.waiting.isEmpty)
  }
}
