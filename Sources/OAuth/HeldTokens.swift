package import Basics

/// Tokens that were minted and cannot be checked yet, for want of the keys: the next mint for a grant first
/// tries the one that is held, and the tenant is asked for no other. A value that takes the time.
package struct HeldTokens<Key: Hashable & Sendable, Token: Sendable>: Sendable {
  private var tokens: [Key: (token: Token, asked: Instant, until: Instant)] = [:]
  private let capacity: Int

  /// A token that does not say how long it lives is taken to live so long.
  package static var unknownLife: Duration { .seconds(3600) }

  /// No more than `capacity` are held.
  package init(capacity: Int = 1000) { self.capacity = capacity }

  /// Holds a token that was asked for at `asked` and ends at `end`, if it says so, until an eighth of its life is left.
  /// Where too many are held, it is let go.
  package mutating func hold(_ token: Token, for key: Key, asked: Instant, end: Instant?, now: Instant) {
    let life = end.map { asked.duration(to: $0) } ?? Self.unknownLife
    if tokens.count >= capacity { tokens = tokens.filter { now < $0.value.until } }
    if tokens.count < capacity || tokens[key] != nil {
      tokens[key] = (token, asked, asked.advanced(by: life / 8 * 7))
    }
  }

  /// The token held for `key`; nil if there is none with enough life left.
  package func token(_ key: Key, now: Instant) -> Token? {
    tokens[key].flatMap { now < $0.until ? $0.token : nil }
  }

  /// It has been checked, or is worth nothing.
  package mutating func release(_ key: Key) { tokens[key] = nil }

  /// Another one is known to be good that was asked for at `instant`. By the clocks of two machines the two may be the
  /// same.
  package mutating func release(_ key: Key, askedBy instant: Instant) {
    if let held = tokens[key], held.asked <= instant.advanced(by: .milliseconds(100)) { tokens[key] = nil }
  }
}
