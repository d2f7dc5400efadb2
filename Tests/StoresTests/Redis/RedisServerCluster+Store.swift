import Basics
import BrokerCore
import TestSupport
import Testing

@testable import Stores

extension RedisServerCluster.Node {
  /// A store that is given this node and logs in as the user of docs/fleet.md, with time enough for a machine that has
  /// much else to do. It asks nothing that a test does not ask.
  func store(_ change: (inout RedisSettings) -> Void = { _ in }) throws -> RedisStore {
    var settings = RedisSettings(.tcp(host: "127.0.0.1", port: port))
    settings.timeout = .seconds(10)
    settings.connectTimeout = .seconds(10)
    settings.trialInterval = nil
    (settings.user, settings.password) = (RedisServer.user, Secret(RedisServer.password.utf8))
    change(&settings)
    return try RedisStore(settings, log: .silent)
  }
}

extension RedisServerCluster {
  /// The first name, from this number on, that lies in a slot of this primary's.
  func name(at index: Int, from first: UInt64 = 0) throws -> StoreName {
    let names = (first..<first + 1000).lazy.map { StoreName(number: $0) }
    return try #require(names.first { primary(of: $0.slot).port == primaries[index].port })
  }
}

extension RedisStore {
  /// Makes a value under a claim, as a broker makes a token: true if this call made it, false if another did.
  func mint(_ name: StoreName) async throws -> Bool {
    while true {
      let answer = try await claim(name, for: .seconds(60), loading: [name])
      guard let claim = answer.claim else {
        if answer.values == [[42]] { return false }
        await waitForChange(of: name, until: Instant.now.advanced(by: .milliseconds(50)))
        continue
      }
      let isThere = answer.values == [[42]]
      let entry = StoreEntry(name: name, value: [42], lifetime: .seconds(600))
      try await save(isThere ? [] : [entry], settling: claim)
      return !isThere
    }
  }
}

extension StoreName {
  /// A name that begins with `number`.
  init(number: UInt64) {
    self.init((0..<32).map { $0 < 8 ? UInt8(truncatingIfNeeded: number >> (8 * $0)) : 0 })
  }

  /// Where its group lies.
  var slot: Int { RedisSlot.number(of: RedisKeys(prefix: "token-broker:").value(self)) }
}
