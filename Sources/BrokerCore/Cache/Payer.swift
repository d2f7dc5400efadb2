package import Basics

/// At whose expense the tenant may be made to refuse what it has never granted.
package enum Payer: Hashable, Sendable {
  /// All who need not prove who they are.
  case anyone
  case caller(String)
  /// Somebody who brings credentials of this client id that the tenant has not accepted yet, and the place that they
  /// come from, as far as that is known.
  case newcomer(clientID: String, source: String)
  /// Somebody whose own credentials the tenant has accepted.
  case holder(SHA256Digest)

  /// Whether what is charged to one may be charged to the other, too.
  func shares(with other: Payer) -> Bool {
    if case (.newcomer, .newcomer) = (self, other) { return true }
    return self == other
  }
}
