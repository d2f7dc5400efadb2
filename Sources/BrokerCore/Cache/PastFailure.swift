package import Basics
package import OAuth

/// What last went wrong for a key or a client, also when it is over. An object, because most have none.
package final class PastFailure: Sendable {
  package let error: TokenError
  package let at: Instant

  package init(_ error: TokenError, at instant: Instant) {
    self.error = error
    at = instant
  }
}
