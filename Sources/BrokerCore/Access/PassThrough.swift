package import Basics
import struct Crypto.HMAC
import struct Crypto.SHA256
import struct Crypto.SymmetricKey
package import OAuth
import Synchronization

/// Lets clients that have credentials of their own with the tenant ask through the broker, so that they too get a token
/// once a lifetime: theirs are sent on as they are, and the answer is kept under a keyed hash of them.
///
/// Requests with credentials that no token is held for are limited for each client id, so that whoever guesses secrets
/// is slow; those that have been accepted once are not. All that the tenant refuses of the others is paid from one
/// allowance besides.
package final class PassThrough: Sendable {
  private struct State {
    /// For ids beyond those that are told apart.
    var others = RateLimiter(perMinute: PassThrough.maxClientIDs)
    var attempts: [String: RateLimiter] = [:]
    var accepted: Set<SHA256Digest> = []
  }

  /// Made anew in each process: what is kept tells nothing of a secret.
  private let key = SymmetricKey(size: .bits256)
  private let state = Mutex(State())

  private static let attemptsPerMinute = 10
  private static let maxClientIDs = 1000
  private static let maxAccepted = 10_000

  package init() {}

  /// What tells their tokens from all others': the credentials, and what is asked for with them.
  package func holder(of credentials: PassThroughCredentials) -> SHA256Digest {
    digest(of: credentials, and: credentials.parameters)
  }

  /// What the credentials are known by, whatever is asked for with them.
  private func bearer(of credentials: PassThroughCredentials) -> SHA256Digest { digest(of: credentials, and: []) }

  private func digest(
    of credentials: PassThroughCredentials, and parameters: [(name: String, value: Secret)]
  ) -> SHA256Digest {
    var code = HMAC<SHA256>(key: key)
    // Behind its length nothing can be taken for something else.
    func add(_ text: String) { code.update(data: Array("\(text.utf8.count):\(text)".utf8)) }
    func add(_ secret: Secret) {
      code.update(data: Array("\(secret.count):".utf8))
      secret.withBytes { bytes in unsafe bytes.withUnsafeBytes { unsafe code.update(data: $0) } }
    }
    add(credentials.clientID)
    add(credentials.secret)
    for parameter in parameters {
      add(parameter.name)
      add(parameter.value)
    }
    return SHA256Digest(code.finalize())
  }

  /// Counts a request that no token is held for. Returns how long to wait if it is one too many, else nil.
  package func admit(_ credentials: PassThroughCredentials, now: Instant) -> Duration? {
    let bearer = bearer(of: credentials)
    return state.withLock { state in
      if state.accepted.contains(bearer) { return nil }
      if state.attempts[credentials.clientID] == nil, state.attempts.count >= Self.maxClientIDs {
        if let wait = state.others.admit(now: now) { return wait }
        state.attempts = state.attempts.filter { !$0.value.isIdle(now: now) }
        if state.attempts.count >= Self.maxClientIDs { return nil }
      }
      return state.attempts[credentials.clientID, default: RateLimiter(perMinute: Self.attemptsPerMinute)]
        .admit(now: now)
    }
  }

  /// At whose expense the tenant may be made to refuse what they are brought for. Those that it has accepted pay for
  /// themselves.
  package func payer(_ credentials: PassThroughCredentials) -> Payer {
    let bearer = bearer(of: credentials)
    return state.withLock { $0.accepted.contains(bearer) } ? .holder(bearer) : .passThrough
  }

  /// The tenant has taken them.
  package func accepted(_ credentials: PassThroughCredentials) {
    let bearer = bearer(of: credentials)
    state.withLock { state in
      if state.accepted.count >= Self.maxAccepted { state.accepted = [] }
      state.accepted.insert(bearer)
    }
  }
}
