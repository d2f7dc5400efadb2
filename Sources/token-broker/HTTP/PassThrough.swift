import Clocks
import Crypto
import OAuth
import Synchronization
import TokenBroker

/// Lets clients that have credentials of their own with the tenant ask through the broker, so that they too get a token
/// once a lifetime: theirs are sent on as they are, and the answer is kept under a keyed hash of them.
final class PassThrough: Sendable {
  /// The client whose tenant is asked, as the cache names it: what happens to others' credentials is not its own affair.
  let client: String
  /// Made anew in each process: what is kept tells nothing of a secret.
  private let key = SymmetricKey(size: .bits256)
  private let attempts = Mutex<[String: RateLimit]>([:])

  /// Requests a minute with credentials that no token is held for, of one client id: whoever guesses secrets is slow.
  private static let attemptsPerMinute = 10
  private static let maxClientIDs = 1000

  init(client: String) {
    self.client = Self.name(of: client)
  }

  static func name(of client: String) -> String { "\(client) (pass-through)" }

  /// The token for these credentials and no others.
  func key(for grant: Grant, _ credentials: BroughtCredentials) -> TokenKey {
    var code = HMAC<SHA256>(key: key)
    // The length keeps id and secret apart.
    code.update(data: Array("\(credentials.clientID.utf8.count):\(credentials.clientID)".utf8))
    credentials.secret.withBytes { bytes in
      unsafe bytes.withUnsafeBytes { unsafe code.update(data: $0) }
    }
    return TokenKey(client: client, grant: grant, holder: KeyDigest(code.finalize()))
  }

  /// Counts a request that no token is held for; how long to wait if it is one too many, else nil.
  func admit(_ credentials: BroughtCredentials, now: Instant) -> Duration? {
    attempts.withLock { attempts in
      let known = attempts[credentials.clientID]
      // Full of ids that were made up: all may begin anew.
      if known == nil, attempts.count >= Self.maxClientIDs { attempts.removeAll() }
      let limit = known ?? RateLimit(perMinute: Self.attemptsPerMinute)
      attempts[credentials.clientID] = limit
      return limit.admit(now: now)
    }
  }
}
