package import Basics
import struct Crypto.HMAC
import struct Crypto.SHA256
import struct Crypto.SymmetricKey
package import OAuth
import Synchronization

/// Lets clients that have credentials of their own with the tenant ask through the broker, so that they too get a token
/// once a lifetime: theirs are sent on as they are, and the answer is kept under a keyed hash of them.
///
/// Whoever guesses secrets is slow, because what the tenant refuses is paid for (`RefusalAllowances`). So is whoever
/// asks for something new each time, which is paid for as well.
package final class PassThrough: Sendable {
  /// Made anew in each process: what is kept tells nothing of a secret.
  private let key = SymmetricKey(size: .bits256)
  /// Credentials that the tenant has taken lately.
  private let accepted = Mutex(RecentSet<SHA256Digest>(capacity: 10_000))

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
    // A tenant may take them in one of the places only.
    add(credentials.authorization == nil ? "body" : "field")
    add(credentials.asGiven.clientID)
    add(credentials.asGiven.secret)
    for parameter in parameters {
      add(parameter.name)
      add(parameter.value)
    }
    return SHA256Digest(code.finalizeWiping())
  }

  /// At whose expense the tenant may be made to refuse what they are brought for. Those that it has accepted lately pay
  /// for themselves. `source` says where they come from.
  package func payer(_ credentials: PassThroughCredentials, source: String) -> Payer {
    let bearer = bearer(of: credentials)
    return hasAccepted(bearer) ? .holder(bearer) : .newcomer(clientID: credentials.clientID, source: source)
  }

  /// Whether the tenant has taken them lately.
  package func hasAccepted(_ credentials: PassThroughCredentials) -> Bool { hasAccepted(bearer(of: credentials)) }

  private func hasAccepted(_ bearer: SHA256Digest) -> Bool { accepted.withLock { $0.contains(bearer) } }

  /// The tenant has taken them.
  package func accepted(_ credentials: PassThroughCredentials) {
    let bearer = bearer(of: credentials)
    accepted.withLock { $0.insert(bearer) }
  }
}
