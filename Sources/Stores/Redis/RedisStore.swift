package import Basics
package import BrokerCore
import IO
package import Logging

/// Redis or Valkey as a store: one server, the primary behind one name, the one that Sentinels name, or a cluster, of
/// which any node is named.
///
/// A value is under `<prefix>{<hex of its name>}`, or `<prefix>{<hex of its group>}:<hex of its name>`, a claim under
/// the first with `:claim` behind it. What is within the braces decides in which slot of a cluster a key is. The rights
/// that the user needs are in docs/fleet.md.
package final class RedisStore: Store {
  /// Longer values are refused.
  package static let longestValue = 31 << 10

  let settings: RedisSettings
  let availability: RedisAvailability
  private let mailbox: Mailbox<RedisConnections.Message>
  /// They look after the files with passwords.
  private let watchers: [FileWatcher]
  let changes = StoreChanges()
  let keys: RedisKeys
  private let places = RedisPlaces()
  package let recoveries: AsyncStream<Void>

  /// Starts to connect. Throws where the certificates cannot be used. A server that cannot be reached is tried again,
  /// and until it is reached every operation throws.
  package init(_ settings: RedisSettings, log: Logger) throws(StoreError) {
    try settings.check()
    var log = log
    log[metadataKey: "store"] = "\(settings)"
    do throws(SystemError) { mailbox = try Mailbox() } catch { throw StoreError("\(error)") }
    self.settings = settings
    keys = RedisKeys(prefix: settings.prefix)
    watchers = [settings.passwordFile, settings.sentinelPasswordFile].compactMap { [mailbox, log] file in
      file.flatMap { FileWatcher.ofPassword(in: $0, log: log) { mailbox.post(.passwordChanged) } }
    }
    let (recoveries, recovered) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
    self.recoveries = recoveries
    let (trials, trial) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
    availability = RedisAvailability(log: log, recovered: recovered, trials: trial, every: settings.trialInterval)
    EventLoop.start(label: "redis") { [mailbox, availability, changes, places, log] loop in
      try RedisConnections(
        settings, on: loop, mailbox: mailbox, availability: availability, changes: changes, places: places, log: log)
    } ended: { [mailbox, availability] result in
      availability.loopEnded(result)
      mailbox.close()
    }
    Task { [weak self] in for await _ in trials { await self?.examineAll() } }
  }

  deinit { close() }

  /// Ends the connections; what is under way fails, and those who wait for a change wait no longer.
  package func close() {
    if availability.close() { mailbox.post(.close) }
    changes.close()
  }

  package var condition: StoreCondition {
    StoreCondition(location: "\(settings)", problem: availability.problem, refusals: availability.refusals)
  }

  // MARK: Operations

  /// A value that lies on a node of a cluster that cannot be asked is as one that is not there, unless that is so of
  /// all.
  package func load(_ names: [StoreName]) async throws(StoreError) -> [[UInt8]?] {
    let plans = names.map(plan)
    let elsewhere = zip(names, plans).filter(\.1.isAway)
    let answers = try await ask(
      zip(names, plans).map { load(keys.value($0, at: $1.present)) }
        + elsewhere.map { load(keys.value($0, at: $1.other ?? 1)) })
    let found = answers.prefix(names.count).map { answer in
      Result { () throws(StoreError) in try value(answer, for: .load) }
    }
    if case .failure(let error)? = found.first, found.allSatisfy(\.isFailure) { throw error }
    var others = answers.dropFirst(names.count)
    return zip(found, plans).map { found, plan in
      let other = plan.isAway ? others.popFirst().flatMap { try? value($0, for: .load) } : nil
      return (try? found.get()) ?? other
    }
  }

  /// What is loaded beside the claim and is not of its group may be on another node, and counts as not there where
  /// that node cannot be asked.
  package func claim(
    _ name: StoreName, for lease: Duration, loading names: [StoreName]
  ) async throws(StoreError) -> StoreAnswer {
    // The same for a second attempt, so that it is not kept from its claim by the first.
    let fence = Fence.next()
    return try await again { () async throws(StoreError) in
      let plan = plan(name)
      let claim = StoreClaim(name: name, fence: fence, place: plan.present)
      let deadline = Instant.now.advanced(by: settings.timeout)
      let answer = try await request(claim, for: lease, loading: names, by: deadline)
      guard let other = plan.other else { return answer }
      return try await reconciled(answer, with: other, claim, names, by: deadline)
    }
  }

  private func request(
    _ claim: StoreClaim, for lease: Duration, loading names: [StoreName], by deadline: Instant
  ) async throws(StoreError) -> StoreAnswer {
    let (name, place) = (claim.name, claim.place)
    var command = script(RedisScripts.claim, keys: [keys.claim(name, at: place)])
    command.add("\(claim.fence)")
    command.add(lease)
    changes.watch(name)
    var isGranted = false
    do throws(StoreError) {
      let answers = try await ask(
        [command] + names.map { load(keys.value($0, at: $0.group == name.group ? place : plan($0).present)) },
        by: deadline)
      let taken = try integer(first(of: answers.prefix(1), to: "EVAL", for: .claim))
      isGranted = taken < 0
      let values = try zip(names, answers.dropFirst()).map { (loaded, answer) throws(StoreError) -> [UInt8]? in
        do throws(StoreError) { return try value(answer, for: .claim) } catch {
          if loaded.group == name.group { throw error }
          return nil
        }
      }
      if isGranted { changes.forget(name) }
      return StoreAnswer(isGranted ? .granted(claim) : .taken(.milliseconds(taken)), values)
    } catch {
      changes.forget(name)
      if isGranted { post([settling([], claim)]) }
      throw error
    }
  }

  /// Adds what there is in another place. A claim there counts: not all brokers know at the same time which place is
  /// the present one. Where two see each other's, both give way and try again.
  private func reconciled(
    _ answer: StoreAnswer, with place: Int, _ claim: StoreClaim, _ names: [StoreName], by deadline: Instant
  ) async throws(StoreError) -> StoreAnswer {
    let found = try await ask(
      [load(keys.claim(claim.name, at: place))] + names.map { load(keys.value($0, at: place)) }, by: deadline
    ).map { (try? value($0, for: .claim)) ?? nil }
    let values = zip(answer.values, found.dropFirst()).map { $0 ?? $1 }
    guard case .granted = answer.outcome, let holder = found[0], holder != Array("\(claim.fence)".utf8) else {
      return StoreAnswer(answer.outcome, values)
    }
    changes.watch(claim.name)
    post([renewal(claim, for: .milliseconds(1))])
    return StoreAnswer(.taken(.milliseconds(.random(in: 5...50))), values)
  }

  package func renew(_ claim: StoreClaim, for lease: Duration) async throws(StoreError) -> Bool {
    try await integer(write("EVAL", [renewal(claim, for: lease)], for: .claim)) == 1
  }

  package func save(_ entries: [StoreEntry], settling claim: StoreClaim?) async throws(StoreError) {
    if entries.contains(where: { $0.value.count > Self.longestValue }) {
      throw StoreError("a value has more than \(Self.longestValue) bytes")
    }
    guard let claim else { return try await save(entries) }
    // What is elsewhere first: who is told that the claim is given up finds all of it.
    let elsewhere = entries.filter { $0.name.group != claim.name.group }
    let failure = await failure { () async throws(StoreError) in try await save(elsewhere) }
    try await settle(entries.filter { $0.name.group == claim.name.group }, claim)
    if let failure { throw failure }
  }

  private func save(_ entries: [StoreEntry]) async throws(StoreError) {
    if entries.isEmpty { return }
    try await again { () async throws(StoreError) in
      let commands = entries.map { entry in
        var command = RedisCommand("SET")
        command.add(key: keys.value(entry.name, at: plan(entry.name).present))
        command.add(entry.value)
        command.add("PX")
        command.add(entry.lifetime)
        return command
      }
      _ = try await write("SET", commands, for: .save)
    }
  }

  private func settle(_ entries: [StoreEntry], _ claim: StoreClaim) async throws(StoreError) {
    let failure = await failure { () async throws(StoreError) in try await settleInPlace(entries, claim) }
    let place = plan(claim.name).present
    if place != claim.place {
      // Whoever wants the token looks where the group is now.
      try await save(entries)
      if failure == nil { return }
      let moved = StoreClaim(name: claim.name, fence: claim.fence, place: place)
      try check(settled: try await write("EVAL", [settling([], moved)], for: .save))
    } else if let failure {
      throw failure
    }
  }

  private func settleInPlace(_ entries: [StoreEntry], _ claim: StoreClaim) async throws(StoreError) {
    let answers = try await ask([settling(entries, claim)])
    guard case .success(.error(let text))? = answers.first, RedisRefusal(text).code == "TRYAGAIN" else {
      return try check(settled: first(of: answers[...], to: "EVAL", for: .save))
    }
    // The slot is on its way to another node, and until all of it is there only one key can be asked for at a time.
    let failure = await failure { () async throws(StoreError) in
      if try await renew(claim, for: .seconds(1)) { try await save(entries) }
    }
    try check(settled: try await write("EVAL", [settling([], claim)], for: .save))
    if let failure { throw failure }
  }

  private func check(settled reply: RedisReply) throws(StoreError) {
    if try integer(reply) == RedisScripts.silent {
      availability.refused(.listen, StoreError("PUBLISH was refused", isRefusal: true))
    }
  }

  private func failure(of body: () async throws(StoreError) -> Void) async -> StoreError? {
    do throws(StoreError) {
      try await body()
      return nil
    } catch {
      return error
    }
  }

  package func count(
    _ name: StoreName, adding count: Int, atLeast: Int, lifetime: Duration
  ) async throws(StoreError) -> Int {
    try await again { () async throws(StoreError) in
      var command = script(RedisScripts.count, keys: [keys.value(name, at: plan(name).present)])
      command.add(count)
      command.add(atLeast)
      command.add(lifetime)
      return try await Int(integer(write("EVAL", [command], for: .save)))
    }
  }

  /// In a cluster a value may be left from an outage in a place that is not looked at now, but in the next. There it is
  /// removed if that can be done.
  package func remove(_ names: [StoreName]) async throws(StoreError) {
    let last = availability.topology == nil ? 1 : RedisPlaces.last
    var (present, others): ([RedisCommand], [RedisCommand]) = ([], [])
    for name in names {
      let plan = plan(name)
      for place in 1...max(last, plan.present, plan.other ?? 1) {
        var command = RedisCommand("DEL", answer: .integer)
        command.add(key: keys.value(name, at: place))
        if place == plan.present || place == plan.other { present.append(command) } else { others.append(command) }
      }
    }
    if present.isEmpty { return }
    _ = try first(of: try await ask(present + others).prefix(present.count), to: "DEL", for: .remove)
  }

  package func waitForChange(of name: StoreName, until deadline: Instant) async {
    await changes.wait(for: name, until: deadline)
  }

  // MARK: Keys and requests

  private func plan(_ name: StoreName) -> RedisPlaces.Plan {
    places.plan(now: .now) { keys.value(name, at: $0) }
  }

  /// Does it once more if it fails because a node was lost meanwhile: it goes elsewhere then. That has time of its own,
  /// because a node that does not answer uses up all there was.
  private func again<Value>(
    _ body: () async throws(StoreError) -> Value
  ) async throws(StoreError) -> Value {
    let losses = places.losses
    do throws(StoreError) { return try await body() } catch {
      if places.losses == losses { throw error }
      return try await body()
    }
  }

  /// One value a command, although MGET takes many keys: in a cluster one that is not there can be asked for while its
  /// slot is on its way to another node only so.
  private func load(_ key: String) -> RedisCommand {
    var command = RedisCommand("MGET", answer: .value, isRead: true)
    command.add(key: key)
    return command
  }

  private func renewal(_ claim: StoreClaim, for lease: Duration) -> RedisCommand {
    var command = script(RedisScripts.renew, keys: [keys.claim(claim.name, at: claim.place)])
    command.add("\(claim.fence)")
    command.add(lease)
    return command
  }

  private func settling(_ entries: [StoreEntry], _ claim: StoreClaim) -> RedisCommand {
    var command = script(
      RedisScripts.settle,
      keys: [keys.claim(claim.name, at: claim.place)] + entries.map { keys.value($0.name, at: claim.place) })
    command.add("\(claim.fence)")
    command.add(settings.channel)
    command.add(claim.name.bytes)
    for entry in entries {
      command.add(entry.value)
      command.add(entry.lifetime)
    }
    return command
  }

  private func script(_ text: String, keys: [String]) -> RedisCommand {
    var command = RedisCommand("EVAL", text, "\(keys.count)", answer: .integer)
    for key in keys { command.add(key: key) }
    return command
  }

  private func write(
    _ name: String, _ commands: [RedisCommand], for operation: StoreOperation
  ) async throws(StoreError) -> RedisReply {
    try first(of: try await ask(commands)[...], to: name, for: operation)
  }

  /// The first of the replies. Throws where one is missing or an error.
  private func first(
    of answers: ArraySlice<RedisRequest.Answer>, to name: String, for operation: StoreOperation
  ) throws(StoreError) -> RedisReply {
    var first: RedisReply?
    for answer in answers {
      let reply = try reply(answer, to: name, for: operation)
      first = first ?? reply
    }
    guard let first else { throw .unexpected }
    return first
  }

  private func ask(
    _ commands: [RedisCommand], by deadline: Instant? = nil
  ) async throws(StoreError) -> [RedisRequest.Answer] {
    try availability.check()
    let deadline = deadline ?? Instant.now.advanced(by: settings.timeout)
    return await RedisRequest.answers(to: commands, deadline: deadline) { mailbox.post(.ask($0)) }
  }

  /// Sends commands for whose answers nobody waits.
  private func post(_ commands: [RedisCommand]) {
    let deadline = Instant.now.advanced(by: settings.timeout)
    mailbox.post(.ask(commands.map { RedisRequest($0, deadline: deadline) { _ in } }))
  }

  /// Throws where it is missing or an error, and remembers for `condition` what the server refuses.
  private func reply(
    _ answer: RedisRequest.Answer, to name: String, for operation: StoreOperation
  ) throws(StoreError) -> RedisReply {
    let reply = try answer.get()
    guard case .error(let text) = reply else { return reply }
    let refusal = RedisRefusal(text)
    if refusal.code == "READONLY" { mailbox.post(.metReplica) }
    var error = refusal.error(of: name)
    // A cluster that does not tell who has what leaves most keys out of reach for good.
    if ["MOVED", "ASK"].contains(refusal.code), availability.topology == nil {
      error = StoreError(error.reason, isRefusal: true)
    }
    // Also where it is of use to ask again: it was asked again, for as long as callers wait.
    availability.refused(operation, error)
    throw error
  }

  private func value(_ answer: RedisRequest.Answer, for operation: StoreOperation) throws(StoreError) -> [UInt8]? {
    guard case .array(let parts) = try reply(answer, to: "MGET", for: operation), case .string(let bytes)? = parts.first
    else { return nil }
    return bytes
  }

  private func integer(_ reply: RedisReply) throws(StoreError) -> Int64 {
    guard case .integer(let number) = reply else { throw .unexpected }
    return number
  }
}

extension Result {
  fileprivate var isFailure: Bool {
    if case .failure = self { true } else { false }
  }
}
