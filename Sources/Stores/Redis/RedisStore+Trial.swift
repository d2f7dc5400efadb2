import Basics
package import BrokerCore

/// Finding out what a server does, by doing once all that is ever asked of it, with names that nobody else has.
extension RedisStore {
  /// How long what a trial leaves behind lasts at the most.
  private static let lease = Duration.seconds(5)

  /// Does all that is asked of a store, and returns what it refused. Throws if it is out of reach.
  package func examine() async throws(StoreError) -> [StoreOperation: String] {
    // Waits for the first connection.
    do throws(StoreError) { _ = try await load([Self.scratchName]) } catch { if !error.isRefusal { throw error } }
    await examineAll()
    if let problem = condition.problem { throw StoreError(problem) }
    return condition.refusals
  }

  private static var scratchName: StoreName { StoreName((0..<32).map { _ in UInt8.random(in: .min ... .max) }) }

  /// A name on each server, because one may do what another does not.
  private var scratchNames: [StoreName] {
    guard let topology = availability.topology else { return [Self.scratchName] }
    var names: [RedisTopology.Node: StoreName] = [:]
    // One that has few slots, or none, is left out.
    for _ in 0..<64 * topology.shards.count {
      let name = Self.scratchName
      if let primary = place(of: name, in: topology) { names[primary] = name }
      if names.count == topology.shards.count { break }
    }
    return Array(names.values)
  }

  /// Tries each server. What is refused is noted where it is answered.
  func examineAll() async {
    let before = availability.refusalCount
    var passed = Set(StoreOperation.allCases)
    let names = scratchNames
    if names.isEmpty { return }
    for name in names {
      let (done, refused) = await operations(with: name)
      passed.formIntersection(done)
      availability.note(place(of: name), isClaimable: refused.isDisjoint(with: [.claim, .save]))
    }
    if await !isListening(Self.scratchName) { passed.remove(.listen) }
    availability.passed(passed.sorted(), since: before)
  }

  /// A claim that could not be given up would be waited for in vain. Only what a trial has shown counts: what is
  /// refused once may be done a moment later, such as while another node becomes the primary.
  package func isClaimable(_ name: StoreName) -> Bool { availability.isClaimable(place(of: name)) }

  /// The server that has the name; nil where there is only one, or nobody knows.
  private func place(of name: StoreName) -> RedisSettings.Server? {
    availability.topology.flatMap { place(of: name, in: $0) }
  }

  private func place(of name: StoreName, in topology: RedisTopology) -> RedisSettings.Server? {
    topology.shard(of: RedisSlot.number(of: keys.value(name)))?.primary
  }

  /// Names enough to meet another node if the server is one of a cluster that does not tell of its nodes.
  private var strayNames: [StoreName] {
    availability.topology == nil ? (0..<15).map { _ in Self.scratchName } : []
  }

  /// What could be done with a name, and what was refused.
  private func operations(with name: StoreName) async -> (done: Set<StoreOperation>, refused: Set<StoreOperation>) {
    var (done, refused): (Set<StoreOperation>, Set<StoreOperation>) = ([], [])
    func attempt(_ operation: StoreOperation, _ body: () async throws(StoreError) -> Void) async {
      do throws(StoreError) {
        try await body()
        done.insert(operation)
      } catch {
        if error.isRefusal { refused.insert(operation) }
      }
    }
    let entry = StoreEntry(name: name, value: [0], lifetime: Self.lease)
    var claim = StoreClaim(name: name, fence: Fence.next())
    // Nobody will wait for it.
    defer { changes.forget(name) }
    await attempt(.load) { () async throws(StoreError) in _ = try await load([name] + strayNames) }
    await attempt(.claim) { () async throws(StoreError) in
      let answer = try await self.claim(name, for: Self.lease, loading: [name])
      if case .granted(let granted) = answer.outcome { claim = granted }
      // What somebody else has is answered with how long it lasts.
      _ = try await self.claim(name, for: Self.lease, loading: [])
      _ = try await renew(claim, for: Self.lease)
    }
    await attempt(.save) { () async throws(StoreError) in
      try await save([entry], settling: claim)
      // Whoever waits for changes is told by it.
      done.insert(.listen)
      try await save([entry], settling: nil)
    }
    await attempt(.remove) { () async throws(StoreError) in try await remove([name]) }
    return (done, refused)
  }

  /// Whether changes are heard of, once that is known.
  private func isListening(_ name: StoreName) async -> Bool {
    if !availability.isListening, availability.refusals[.listen] == nil {
      await changes.wait(for: name, until: .now.advanced(by: settings.connectTimeout))
      if !availability.isListening, availability.refusals[.listen] == nil {
        availability.refused(.listen, StoreError("it tells of no changes within \(settings.connectTimeout)"))
      }
    }
    return availability.isListening
  }
}
