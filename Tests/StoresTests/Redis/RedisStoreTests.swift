import Basics
import Foundation
import TestSupport
import Testing
import BrokerCore

@testable import Stores

/// Against Debian's redis-server.
@Suite(.serialized, .timeLimit(.minutes(2))) struct RedisStoreTests {
  private let server: RedisServer

  init() async throws { server = try await RedisServer() }

  private func entry(_ byte: UInt8, _ value: [UInt8], for lifetime: Duration = .seconds(60)) -> StoreEntry {
    StoreEntry(name: StoreName(byte), value: value, lifetime: lifetime)
  }

  private func key(_ byte: UInt8) -> String {
    "token-broker:{\(Hex.text([UInt8](repeating: byte, count: 32)))}"
  }

  @Test("Saved values are found again in the order asked for, whatever bytes they have")
  func binaryValues() async throws {
    let store = try server.store()
    let values: [[UInt8]] = [
      Array(0...255), [], Array("\r\n$3\r\nabc\r\n".utf8), [UInt8](repeating: 0, count: RedisStore.longestValue),
    ]
    let entries = values.enumerated().map { entry(UInt8($0.offset), $0.element) }
    try await store.save(entries, settling: nil)
    let found = try await server.store().load([3, 1, 9, 0, 2].map { StoreName($0) })
    #expect(found == [values[3], values[1], nil, values[0], values[2]])
    #expect(try await server.ask("STRLEN", key(3)) == "31744")
  }

  @Test("What is removed is gone for all, and nothing else is")
  func removal() async throws {
    let store = try server.store()
    try await store.save([1, 2, 3].map { entry($0, [$0]) }, settling: nil)
    try await store.remove([StoreName(1), StoreName(3), StoreName(9)])
    try await store.remove([])
    #expect(try await server.store().load([1, 2, 3].map { StoreName($0) }) == [nil, [2], nil])
  }

  @Test("A count grows by what each adds, is never less than somebody knows, and lasts from its last change on")
  func counts() async throws {
    let (store, other) = (try server.store(), try server.store())
    let name = StoreName(1)
    func count(_ store: RedisStore, _ adding: Int, _ atLeast: Int) async throws -> Int {
      try await store.count(name, adding: adding, atLeast: atLeast, lifetime: .seconds(60))
    }
    #expect(try await count(store, 0, 0) == 0)
    #expect(try await server.ask("EXISTS", key(1)) == "0")
    #expect(try await count(store, 2, 0) == 2)
    #expect(try await count(other, 3, 1) == 5)
    #expect(try await count(store, 1, 100) == 101)
    let most = 1 << 50
    #expect(try await count(store, 1, most) == most + 1)
    #expect(try await count(other, 0, 7) == most + 1)
    #expect(try await server.ask("GET", key(1)) == "\(most + 1)")
    #expect(try await (1...60_000).contains(Int(server.ask("PTTL", key(1))) ?? 0))
    try await server.ask("SET", key(1), "no number")
    #expect(try await count(store, 1, 4) == 5)
  }

  @Test("More values are loaded than one answer could hold")
  func manyValues() async throws {
    let store = try server.store()
    let value = [UInt8](repeating: 7, count: RedisStore.longestValue)
    for start in stride(from: 0, to: 100, by: 20) {
      try await store.save((start..<start + 20).map { entry(UInt8($0), value) }, settling: nil)
    }
    let found = try await store.load((0..<110).map { StoreName($0) })
    #expect(found.count == 110)
    #expect(found[..<100].allSatisfy { $0 == value })
    #expect(found[100...].allSatisfy { $0 == nil })
    #expect(try await store.load([]).isEmpty)
  }

  @Test("A value that is too long is refused, and one that others have put there ends one connection only")
  func tooLong() async throws {
    let store = try server.store()
    await #expect(throws: StoreError("a value has more than 31744 bytes")) {
      try await store.save(
        [entry(1, [UInt8](repeating: 0, count: 31745))], settling: nil)
    }
    try await server.ask("SETRANGE", key(1), "\(2 << 20)", "x")
    await #expect(throws: StoreError("the server's answer is too long")) { try await store.load([StoreName(1)]) }
    try await eventually("connected again") { (try? await store.load([StoreName(2)])) == [nil] }
  }

  @Test("A value lasts as many milliseconds as its lifetime says")
  func lifetimes() async throws {
    let store = try server.store()
    let claim = try #require(try await store.claim(StoreName(9), for: .seconds(60), loading: []).claim)
    try await store.save([entry(1, [1], for: .milliseconds(123_456))], settling: nil)
    try await store.save([entry(2, [2], for: .milliseconds(123_456))], settling: claim)
    for byte: UInt8 in [1, 2] {
      let left = try #require(Int(try await server.ask("PTTL", key(byte))))
      #expect((100_000...123_456).contains(left))
    }
    try await store.save([entry(1, [1], for: .nanoseconds(1))], settling: nil)
    try await eventually("gone") { try await store.load([StoreName(1)]) == [nil] }
  }

  @Test("Only one of two stores gets a claim, and the other can have that of another name")
  func contention() async throws {
    let (first, second) = (try server.store(), try server.store())
    #expect(try await first.claim(StoreName(1), for: .seconds(60), loading: []).claim?.name == StoreName(1))
    #expect(try await second.claim(StoreName(1), for: .seconds(60), loading: []).claim == nil)
    #expect(try await second.claim(StoreName(4), for: .seconds(60), loading: []).claim != nil)
  }

  @Test("Who asks for a claim once more, because the first answer was lost, is not kept from it by itself")
  func repeatedClaim() async throws {
    func claim(_ fence: String) async throws -> Int? {
      Int(try await server.ask("EVAL", RedisScripts.claim, "1", key(1), fence, "60000"))
    }
    #expect(try await claim("7") == -1)
    #expect(try await claim("7") == -1)
    #expect(try await claim("8") ?? 0 > 0)
  }

  @Test("A claim comes with the values asked for, and one that is taken also with the time that is left of it")
  func claimedValues() async throws {
    let (first, second) = (try server.store(), try server.store())
    try await first.save([entry(2, [42])], settling: nil)
    let mine = try await first.claim(StoreName(1), for: .seconds(60), loading: [StoreName(2), StoreName(3)])
    let theirs = try await second.claim(StoreName(1), for: .seconds(60), loading: [StoreName(2), StoreName(3)])
    #expect(mine.values == [[42], nil])
    #expect(theirs.values == [[42], nil])
    let rest = try #require(theirs.taken)
    #expect(rest > .seconds(30) && rest <= .seconds(60))
  }

  @Test("A wait ends as soon as another store gives up the claim")
  func notice() async throws {
    let (first, second) = (try server.store(), try server.store())
    try await server.waitForSubscriptions(2)
    let claim = try #require(try await first.claim(StoreName(1), for: .seconds(60), loading: []).claim)
    #expect(try await second.claim(StoreName(1), for: .seconds(60), loading: []).taken != nil)
    let start = Instant.now
    async let waiting: Void = second.waitForChange(of: StoreName(1), until: start.advanced(by: .seconds(60)))
    try await first.save([entry(1, [5])], settling: claim)
    await waiting
    #expect(start.duration(to: .now) < .seconds(30))
    let answer = try await second.claim(StoreName(1), for: .seconds(60), loading: [StoreName(1)])
    #expect(answer.claim != nil)
    #expect(answer.values == [[5]])
  }

  @Test("A claim that was given up between the refusal and the wait is not waited for")
  func earlyNotice() async throws {
    let (first, second) = (try server.store(), try server.store())
    try await server.waitForSubscriptions(2)
    let claim = try #require(try await first.claim(StoreName(1), for: .seconds(60), loading: []).claim)
    let other = try #require(try await first.claim(StoreName(2), for: .seconds(60), loading: []).claim)
    for byte: UInt8 in [1, 2] {
      #expect(try await second.claim(StoreName(byte), for: .seconds(60), loading: []).taken != nil)
    }
    let start = Instant.now
    async let waiting: Void = second.waitForChange(of: StoreName(2), until: start.advanced(by: .seconds(60)))
    try await first.save([], settling: claim)
    try await first.save([], settling: other)
    // What is published later arrives later.
    await waiting
    await second.waitForChange(of: StoreName(1), until: start.advanced(by: .seconds(60)))
    #expect(start.duration(to: .now) < .seconds(30))
  }

  @Test("A claim whose holder is gone is granted again when its lease is over")
  func deadHolder() async throws {
    var first: RedisStore? = try server.store()
    let second = try server.store()
    #expect(try await first?.claim(StoreName(1), for: .milliseconds(300), loading: []).claim != nil)
    first = nil
    let start = Instant.now
    try await eventually("granted") { try await second.claim(StoreName(1), for: .seconds(9), loading: []).claim != nil }
    #expect(start.duration(to: .now) < .seconds(20))
  }

  @Test("A lease that is renewed lasts on")
  func renewal() async throws {
    let store = try server.store()
    let claim = try #require(try await store.claim(StoreName(1), for: .seconds(20), loading: []).claim)
    #expect(try await store.renew(claim, for: .seconds(500)))
    #expect(try #require(Int(try await server.ask("PTTL", key(1) + ":claim"))) > 400_000)
  }

  @Test("A holder that was too slow changes neither the claim of another nor newer values", arguments: [true, false])
  func lateHolder(isTakenAgain: Bool) async throws {
    let store = try server.store()
    let late = try #require(try await store.claim(StoreName(1), for: .milliseconds(1), loading: []).claim)
    let next = try await eventualValue("granted") {
      try await store.claim(StoreName(1), for: .seconds(60), loading: []).claim
    }
    if !isTakenAgain { try await store.save([entry(1, [2]), entry(2, [2])], settling: next) }
    #expect(try await !store.renew(late, for: .seconds(60)))
    try await store.save([entry(1, [1])], settling: late)
    let answer = try await store.claim(StoreName(1), for: .seconds(60), loading: [StoreName(1), StoreName(2)])
    #expect((answer.claim == nil) == isTakenAgain)
    #expect(answer.values == (isTakenAgain ? [nil, nil] : [[2], [2]]))
    if isTakenAgain { #expect(try await store.renew(next, for: .seconds(60))) }
  }

  @Test("A holder whose claim has run out or was wiped saves only what is not there")
  func lateAlone() async throws {
    let store = try server.store()
    let claim = try #require(try await store.claim(StoreName(1), for: .seconds(60), loading: []).claim)
    try await server.ask("FLUSHALL")
    let beside = StoreName(StoreName(3).bytes, group: claim.name.group)
    func entry(_ name: StoreName, _ value: [UInt8]) -> StoreEntry {
      StoreEntry(name: name, value: value, lifetime: .seconds(60))
    }
    try await store.save([entry(beside, [3])], settling: nil)
    #expect(try await !store.renew(claim, for: .seconds(60)))
    try await store.save([entry(claim.name, [1]), entry(beside, [1])], settling: claim)
    #expect(try await store.load([claim.name, beside]) == [[1], [3]])
    #expect(try await store.claim(StoreName(1), for: .seconds(60), loading: []).claim != nil)
  }

  @Test("Stores in different databases or with different prefixes share nothing")
  func apart() async throws {
    let stores = [
      try server.store(), try server.store { $0.database = 3 }, try server.store { $0.prefix = "token-broker:other:" },
    ]
    for (index, store) in stores.enumerated() {
      try await store.save([entry(1, [UInt8(index)])], settling: nil)
    }
    for (index, store) in stores.enumerated() {
      #expect(try await store.load([StoreName(1)]) == [[UInt8(index)]])
      #expect(try await store.claim(StoreName(1), for: .seconds(60), loading: []).claim != nil)
    }
    #expect(try await server.ask("-n", "3", "DBSIZE") == "2")
    #expect(try await server.ask("GET", "token-broker:other:{\(String(repeating: "01", count: 32))}") == "\u{2}")
    #expect(try await server.ask("CLIENT", "LIST").contains("name=token-broker"))
  }

  @Test("Each of a thousand operations at the same time gets its own answer")
  func pipelining() async throws {
    let store = try server.store()
    try await store.save((0..<200).map { entry($0, [$0]) }, settling: nil)
    try await withThrowingTaskGroup(of: Bool.self) { group in
      for index in 0..<1000 {
        let byte = UInt8(index % 200)
        group.addTask { try await store.load([StoreName(byte)]) == [[byte]] }
      }
      for try await isRight in group { #expect(isRight) }
    }
    #expect(store.condition.problem == nil)
    #expect(store.condition.location == "redis+unix://\(server.socket)?db=0")
  }

  @Test("A store that is closed fails every operation at once, those under way too")
  func closing() async throws {
    let store = try server.store()
    _ = try await store.load([StoreName(1)])
    server.pause()
    let start = Instant.now
    let load = Task { () async throws in try await store.load([StoreName(1)]) }
    async let waiting: Void = store.waitForChange(of: StoreName(1), until: start.advanced(by: .seconds(100)))
    store.close()
    await #expect(throws: StoreError.closed) { try await load.value }
    await waiting
    await #expect(throws: StoreError.closed) { try await store.load([StoreName(1)]) }
    #expect(store.condition.problem == "the store is closed")
    #expect(start.duration(to: .now) < .seconds(15))
    server.resume()
    try await eventually("disconnected") { try await !server.ask("CLIENT", "LIST").contains("token-broker") }
  }
}
