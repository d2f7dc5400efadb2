/// What is wrong with a token that is refused, as far as it tells what can be done about it.
package enum TokenFlaw: Sendable {
  /// It is no JWT, or an encrypted one.
  case unreadable
  /// It could not be checked, because the client has no key set.
  case uncheckable
  case algorithm
  /// Its key is not published, or has not signed it.
  case signature
  case issuer
  case audience
  /// It has expired, or is from the future.
  case time
  /// It is bound to a key or certificate of its sender (RFC 9449, RFC 8705).
  case bound
}
