package import Basics

/// At whose expense the tenant may be made to refuse what it has never granted.
package enum Payer: Hashable, Sendable {
  /// All who need not prove who they are.
  case anyone
  case caller(String)
  /// All who bring credentials of their own that the tenant has not accepted yet.
  case passThrough
  /// Somebody whose own credentials the tenant has accepted.
  case holder(SHA256Digest)
}
