import Basics
import BrokerCore
import OAuth

/// Who sends a request.
enum Identity {
  /// Nobody needs to prove anything.
  case anyone
  case caller(Caller)
  /// A token of a service account that is still to be checked, which takes a signature and perhaps a request.
  case unverifiedToken(UnverifiedToken)
  /// A client of the tenant's own, with its credentials there.
  case passThrough(PassThroughCredentials)
  case refused(Problem)
}

/// A bearer token that has the form of a signed one.
struct UnverifiedToken: Sendable {
  let bytes: [UInt8]
  let digest: SHA256Digest
  /// What the caller must be called, where the request names a client.
  var clientID: String?
}

/// A service account's token that was checked, and until when that is believed.
package struct VerifiedToken: Sendable {
  let digest: SHA256Digest
  let caller: Caller
  let until: Instant
  /// Under which that was so.
  let policy: AccessPolicy
}
