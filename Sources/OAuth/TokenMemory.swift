import Basics
import Synchronization

/// A token that a tenant has answered with, and whose signature has not been checked.
struct UncheckedToken: Sendable {
  let accessToken: AccessToken
  let scope: String?
  /// When it was asked for.
  let asked: Instant
  /// When it ends by what the answer says of it.
  let stated: Instant?
  var quota: [QuotaBucket]
  let upstreamRequestID: String?
  /// How many requests with other credentials were refused before.
  var resends: Int

  /// When it ends, as far as is known without looking into it.
  var end: Instant { stated ?? asked.advanced(by: HeldTokens<TokenMemory.Key, UncheckedToken>.unknownLife) }

  /// Whether the answer does not say that it lives on.
  var isNearItsEnd: Bool { stated.map { $0 <= asked.advanced(by: .seconds(2)) } ?? true }

  /// `expires_in` counts from when the answer was made, which is not before it was asked for.
  init(
    _ answer: TokenResponse, asked: Instant, quota: [QuotaBucket], upstreamRequestID: String?, resends: Int = 0
  ) {
    accessToken = answer.accessToken
    scope = answer.scope
    self.asked = asked
    stated = answer.expiresIn.map { asked.advanced(by: .seconds($0)) }
    self.quota = quota
    self.upstreamRequestID = upstreamRequestID
    self.resends = resends
  }
}

/// What a source remembers of the tokens that it was given: those that wait for the keys to check them with, and which
/// one each grant was answered with last, for some servers repeat theirs until it ends.
final class TokenMemory: Sendable {
  /// A grant, and whose credentials it was asked for with; nil for the client's own.
  struct Key: Hashable, Sendable {
    let grant: Grant
    let holder: SHA256Digest?
  }

  /// How long a token lives.
  struct Life: Sendable, Equatable {
    let expiresAt: Instant
    /// From when it was first seen to its end.
    let whole: Duration
    /// Nobody but the configuration says when it ends.
    var isAssumed = false
  }

  fileprivate struct State {
    var held = HeldTokens<Key, UncheckedToken>()
    /// By hashes of keys, and of their tokens: both must be those of what is looked up. Nobody can aim at them, for
    /// they are seeded anew in each process.
    var seen: [Int: (token: Int, life: Life)] = [:]
  }

  private let state: Mutex<State>

  fileprivate static let maxSeen = 10_000
  /// A server that counts in whole seconds, or by another clock, repeats a token a little beyond its end.
  private static let grace = Duration.seconds(60)

  /// `other` remembers for the same client, as it was configured before: it knows which tokens are repeated. What it
  /// holds may be for what was asked for in another way.
  init(knowing other: TokenMemory? = nil) {
    var state = State()
    if let other { state.seen = other.state.withLock(\.seen) }
    self.state = Mutex(state)
  }

  // MARK: Tokens that wait for their keys

  func held(_ key: Key, now: Instant) -> UncheckedToken? { state.withLock { $0.held.token(key, now: now) } }

  func hold(_ token: UncheckedToken, for key: Key, now: Instant) {
    state.withLock { $0.held.hold(token, for: key, asked: token.asked, end: token.stated, now: now) }
  }

  func release(_ key: Key) { state.withLock { $0.held.release(key) } }

  func release(_ key: Key, askedBy instant: Instant) { state.withLock { $0.held.release(key, askedBy: instant) } }

  // MARK: Tokens that are repeated

  /// The life of a token that was asked for at `asked`. A repeated one goes on with the life it had: where nobody says
  /// when it ends, what is `assumed` of it counts from when it came first. nil if neither says anything.
  func life(
    of token: AccessToken, for key: Key, asked: Instant, stated: Instant?, assumed: Duration?
  ) -> Life? {
    let hash = token.seededHash
    return state.withLock { state in
      let old = state.seen[key.hashValue].flatMap { known, life in
        known == hash && asked < life.expiresAt.advanced(by: Self.grace) ? life : nil
      }
      var life = old
      if let stated {
        let left = asked.duration(to: stated)
        life = Life(expiresAt: stated, whole: max(old?.whole ?? left, left))
      } else if let assumed, old?.isAssumed != false {
        // What is assumed may have been set to something else meanwhile.
        let start = old.map { $0.expiresAt.advanced(by: .zero - $0.whole) } ?? asked
        life = Life(expiresAt: start.advanced(by: assumed), whole: assumed, isAssumed: true)
      }
      if let life { state.remember(key, hash, life, now: asked) }
      return life
    }
  }

  /// Takes note of a token that was had in another way.
  func saw(_ token: MintedToken, for key: Key, now: Instant) {
    let life = Life(expiresAt: token.expiresAt, whole: token.lifetime)
    state.withLock { $0.remember(key, token.accessToken.seededHash, life, now: now) }
  }
}

extension TokenMemory.State {
  fileprivate mutating func remember(
    _ key: TokenMemory.Key, _ hash: Int, _ life: TokenMemory.Life, now: Instant
  ) {
    let key = key.hashValue
    if seen.count >= TokenMemory.maxSeen, seen[key] == nil { seen = seen.filter { now < $0.value.life.expiresAt } }
    if seen.count < TokenMemory.maxSeen || seen[key] != nil { seen[key] = (hash, life) }
  }
}
