package import Basics
package import BrokerCore
import IO
package import Logging

/// Redis or Valkey as a store: one server, or the primary behind one name. Redirections of a Cluster are not followed.
///
/// A value is under `<prefix>{<hex of its name>}`, a claim under the same with `:claim` behind it. The user needs the
/// commands MGET, EVAL, SET, GET, DEL, PTTL, PEXPIRE, PUBLISH, SUBSCRIBE, PING, SELECT and CLIENT SETNAME for these
/// keys and for the channel `<prefix>changes`.
package final class RedisStore: Store {
  /// How many names a claim can load at the most.
  package static let mostNames = 32
  /// Longer values are refused: `mostNames` values of this length still fit into one answer of the server.
  package static let longestValue = 31 << 10

  private let settings: RedisSettings
  private let availability: RedisAvailability
  private let mailbox: Mailbox<RedisConnections.Message>
  let changes = StoreChanges()
  package let recoveries: AsyncStream<Void>

  /// Starts to connect. Throws where the certificates cannot be used. A server that cannot be reached is tried again,
  /// and until it is reached every operation throws.
  package init(_ settings: RedisSettings, log: Logger) throws(StoreError) {
    try settings.check()
    var log = log
    log[metadataKey: "store"] = "\(settings)"
    do throws(SystemError) { mailbox = try Mailbox() } catch { throw StoreError("\(error)") }
    self.settings = settings
    let (recoveries, recovered) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
    self.recoveries = recoveries
    availability = RedisAvailability(log: log, recovered: recovered)
    EventLoop.start(label: "redis") { [mailbox, availability, changes, log] loop in
      try RedisConnections(settings, on: loop, mailbox: mailbox, availability: availability, changes: changes, log: log)
    } ended: { [mailbox, availability] result in
      availability.loopEnded(result)
      mailbox.close()
    }
  }

  deinit { close() }

  /// Ends the connections; what is under way fails, and those who wait for a change wait no longer.
  package func close() {
    if availability.close() { mailbox.post(.close) }
    changes.close()
  }

  package var condition: StoreCondition { StoreCondition(location: "\(settings)", problem: availability.problem) }

  // MARK: Operations

  package func load(_ names: [StoreName]) async throws(StoreError) -> [[UInt8]?] {
    if names.isEmpty { return [] }
    let commands = stride(from: 0, to: names.count, by: Self.mostNames).map { start in
      let names = names[start..<min(start + Self.mostNames, names.count)]
      var command = RedisCommand("MGET", answer: .values(names.count))
      for name in names { command.add(key(name)) }
      return command
    }
    let replies = try await ask(commands)
    try check(replies, "MGET")
    return replies.flatMap(\.values)
  }

  package func claim(
    _ name: StoreName, for lease: Duration, loading names: [StoreName]
  ) async throws(StoreError) -> StoreAnswer {
    if names.count > Self.mostNames { throw StoreError("a claim loads at most \(Self.mostNames) values") }
    let claim = StoreClaim(name: name, fence: Fence.next())
    var command = script(RedisScripts.claim, keys: [claimKey(name)] + names.map(key), answer: .claim(names.count))
    command.add("\(claim.fence)")
    command.add(lease)
    changes.watch(name)
    do throws(StoreError) {
      guard case .array(let parts) = try await write(command), case .integer(let taken) = parts[0] else {
        throw .unexpected
      }
      let values = RedisReply.array(Array(parts.dropFirst())).values
      if taken >= 0 { return StoreAnswer(.taken(.milliseconds(taken)), values) }
      changes.forget(name)
      return StoreAnswer(.granted(claim), values)
    } catch {
      changes.forget(name)
      throw error
    }
  }

  package func renew(_ claim: StoreClaim, for lease: Duration) async throws(StoreError) -> Bool {
    var command = script(RedisScripts.renew, keys: [claimKey(claim.name)], answer: .integer)
    command.add("\(claim.fence)")
    command.add(lease)
    guard case .integer(let isOurs) = try await write(command) else { throw .unexpected }
    return isOurs == 1
  }

  package func save(_ entries: [StoreEntry], settling claim: StoreClaim?) async throws(StoreError) {
    if entries.contains(where: { $0.value.count > Self.longestValue }) {
      throw StoreError("a value has more than \(Self.longestValue) bytes")
    }
    guard let claim else { return try await save(entries) }
    let keys = [claimKey(claim.name)] + entries.map { key($0.name) }
    var command = script(RedisScripts.settle, keys: keys, answer: .integer)
    command.add("\(claim.fence)")
    command.add(settings.channel)
    command.add(claim.name.bytes)
    for entry in entries {
      command.add(entry.value)
      command.add(entry.lifetime)
    }
    _ = try await write(command)
  }

  private func save(_ entries: [StoreEntry]) async throws(StoreError) {
    let commands = entries.map { entry in
      var command = RedisCommand("SET", key(entry.name))
      command.add(entry.value)
      command.add("PX")
      command.add(entry.lifetime)
      return command
    }
    if !commands.isEmpty { _ = try await write("SET", commands) }
  }

  package func remove(_ names: [StoreName]) async throws(StoreError) {
    if names.isEmpty { return }
    var command = RedisCommand("DEL", answer: .integer)
    for name in names { command.add(key(name)) }
    _ = try await write("DEL", [command])
  }

  package func waitForChange(of name: StoreName, until deadline: Instant) async {
    await changes.wait(for: name, until: deadline)
  }

  // MARK: Keys and requests

  private func key(_ name: StoreName) -> String {
    // The braces put a value and its claim into one slot, were the server ever split into several.
    "\(settings.prefix){\(Hex.text(name.bytes))}"
  }

  private func claimKey(_ name: StoreName) -> String { key(name) + ":claim" }

  private func script(_ text: String, keys: [String], answer: RedisReply.Kind) -> RedisCommand {
    var command = RedisCommand("EVAL", text, "\(keys.count)", answer: answer)
    for key in keys { command.add(key) }
    return command
  }

  private func write(_ script: RedisCommand) async throws(StoreError) -> RedisReply {
    try await write("EVAL", [script])[0]
  }

  /// Asks, and remembers for `condition` whether the server refuses writes.
  private func write(_ name: String, _ commands: [RedisCommand]) async throws(StoreError) -> [RedisReply] {
    let replies = try await ask(commands)
    do throws(StoreError) {
      try check(replies, name)
      availability.noteWrite(refused: nil)
      return replies
    } catch {
      availability.noteWrite(refused: error)
      throw error
    }
  }

  private func ask(_ commands: [RedisCommand]) async throws(StoreError) -> [RedisReply] {
    try availability.check()
    let deadline = Instant.now.advanced(by: settings.timeout)
    let answer = await withCheckedContinuation { continuation in
      mailbox.post(.ask(RedisRequest(commands, deadline: deadline, continuation)))
    }
    return try answer.get()
  }

  private func check(_ replies: [RedisReply], _ name: String) throws(StoreError) {
    for case .error(let text) in replies {
      let refusal = RedisRefusal(text)
      if refusal.code == "READONLY" { mailbox.post(.metReplica) }
      throw refusal.error(of: name)
    }
  }
}

extension RedisReply {
  fileprivate var values: [[UInt8]?] {
    guard case .array(let parts) = self else { return [] }
    return parts.map { part in
      if case .string(let bytes) = part { return bytes }
      return nil
    }
  }
}
