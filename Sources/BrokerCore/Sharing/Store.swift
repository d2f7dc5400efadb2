package import Basics

/// Where the brokers of a fleet, or one broker's successive lives, leave tokens for each other. A store is given names
/// and sealed values, and can make sense of neither; whatever it answers is opened and checked before it is believed.
///
/// Callers wait for these calls, so each returns or throws within a short time-out of the store's own, and at once
/// while the store is known to be out of reach. A store mends its connection by itself.
package protocol Store: Sendable {
  /// What is there now, in the order of `names`; nil where there is nothing, or nothing any more.
  func load(_ names: [StoreName]) async throws(StoreError) -> [[UInt8]?]

  /// Claims for `lease` the right to make what `name` names, unless somebody else has it, and loads `names` in the same
  /// step.
  func claim(_ name: StoreName, for lease: Duration, loading names: [StoreName]) async throws(StoreError) -> StoreAnswer

  /// Keeps a claim for `lease` from now. False if it is another's by now.
  func renew(_ claim: StoreClaim, for lease: Duration) async throws(StoreError) -> Bool

  /// Leaves `entries`, gives `claim` up and tells those who wait for it. Changes nothing if the claim is another's by
  /// now: who was too slow must not overwrite what is newer. Without a claim the entries are left all the same.
  func save(_ entries: [StoreEntry], settling claim: StoreClaim?) async throws(StoreError)

  /// Brings the count under `name` to the larger of what it is and `atLeast`, and to `count` more than that. Returns
  /// what it is then. It is forgotten when `lifetime` has passed since it last changed.
  func count(_ name: StoreName, adding count: Int, atLeast: Int, lifetime: Duration) async throws(StoreError) -> Int

  /// Takes out what is under these names, if there is anything.
  func remove(_ names: [StoreName]) async throws(StoreError)

  /// Returns when a claim of `name` is given up, or at `deadline`; perhaps earlier, for no reason.
  func waitForChange(of name: StoreName, until deadline: Instant) async

  /// Returns when what was saved is where it belongs, or cannot get there soon; nothing is asked of it afterwards.
  func close() async

  /// Whether a claim of `name` is of use: one that could not be given up would be waited for in vain.
  func isClaimable(_ name: StoreName) -> Bool

  /// How it is now, for those who watch.
  var condition: StoreCondition { get }

  /// Yields each time the store is within reach, or writes, again: what it had may be gone. For one listener.
  var recoveries: AsyncStream<Void> { get }
}

extension Store {
  /// A store that takes all or nothing refuses the claim as well.
  package func isClaimable(_ name: StoreName) -> Bool { true }

  /// A store that loses nothing yields none.
  package var recoveries: AsyncStream<Void> { AsyncStream { $0.finish() } }
}

/// What a value is found by: a keyed hash, so that it tells nothing of what it names. 32 bytes.
package struct StoreName: Hashable, Sendable {
  package let bytes: [UInt8]
  /// What names have in common that are used in one step: a store of several parts has them in one. 32 bytes.
  package let group: [UInt8]

  /// A group of its own where none is given.
  package init(_ bytes: some Sequence<UInt8>, group: [UInt8]? = nil) {
    self.bytes = Array(bytes)
    self.group = group ?? self.bytes
    precondition(self.bytes.count == 32 && self.group.count == 32)
  }

  /// The group says where something is, not what it is.
  package static func == (one: StoreName, other: StoreName) -> Bool { one.bytes == other.bytes }

  package func hash(into hasher: inout Hasher) { hasher.combine(bytes) }
}

/// A sealed value to be left in a store.
package struct StoreEntry: Sendable {
  package let name: StoreName
  package let value: [UInt8]
  /// After it the value is of no use; at least a millisecond.
  package let lifetime: Duration

  package init(name: StoreName, value: [UInt8], lifetime: Duration) {
    self.name = name
    self.value = value
    self.lifetime = lifetime
  }
}

/// A claim that was granted. The fencing value tells it from the claims of others and from earlier ones.
package struct StoreClaim: Sendable {
  package let name: StoreName
  package let fence: UInt64
  /// Where it is in a store that has several places for it.
  package let place: Int

  package init(name: StoreName, fence: UInt64, place: Int = 1) {
    self.name = name
    self.fence = fence
    self.place = place
  }
}

/// How a claim went, and what was there.
package struct StoreAnswer: Sendable {
  package enum Outcome: Sendable {
    case granted(StoreClaim)
    /// Somebody else has it, for so long if they do not renew it.
    case taken(Duration)
  }

  package let outcome: Outcome
  package let values: [[UInt8]?]

  package init(_ outcome: Outcome, _ values: [[UInt8]?]) {
    self.outcome = outcome
    self.values = values
  }
}

/// Why a store could not do what it was asked: a sentence for the log, without names, values or passwords.
package struct StoreError: Error, Sendable, Equatable {
  package let reason: String
  /// It was asked, and will not do it: to ask again is of no use until something has changed there.
  package var isRefusal = false

  package init(_ reason: String, isRefusal: Bool = false) {
    self.reason = reason
    self.isRefusal = isRefusal
  }
}
