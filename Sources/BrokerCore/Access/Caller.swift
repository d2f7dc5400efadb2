package import Basics

/// Somebody who may ask for tokens, and what they may have.
package final class Caller: Sendable {
  package let name: String
  package let audiences: AudienceSet
  /// The audience of a request that names none.
  package let defaultAudience: String?
  /// The organizations that it may name beside those of the audiences themselves.
  package let organizations: Set<String>
  /// The only scopes it may have; nil for whatever is granted.
  package let scopes: Set<String>?
  /// How often it may ask; nil for as often as it likes.
  package let limit: SharedRateLimiter?

  /// `defaultAudience` is the only audience that `audiences` names, where it is left out.
  package init(
    name: String, audiences: AudienceSet, defaultAudience: String? = nil, organizations: Set<String> = [],
    scopes: Set<String>? = nil, limit: SharedRateLimiter? = nil
  ) {
    self.name = name
    self.audiences = audiences
    self.defaultAudience = defaultAudience ?? audiences.onlyName
    self.organizations = organizations
    self.scopes = scopes
    self.limit = limit
  }

  /// Counts a request. Returns how long to wait if it is one too many, else nil.
  package func admit(now: Instant) -> Duration? { limit?.admit(now: now) }

  /// Whether it may ask for tokens for this organization; `*` stands for any.
  package func mayName(_ organization: String) -> Bool {
    organizations.contains { $0 == "*" || $0.utf8.elementsEqual(organization.utf8) }
  }

  /// What to ask the tenant for where this caller asks for `scope`, a list separated by spaces. A caller that names
  /// none gets all it may have, or what is usual for the audience if it may have anything.
  package func scope(asked scope: String?, usual: String? = nil) -> Scope {
    guard let scopes else { return .granted(scope ?? usual) }
    guard let scope else { return .granted(scopes.sorted().joined(separator: " ")) }
    let excess = scope.split(separator: " ").first { !scopes.contains(String($0)) }
    return excess.map { .refused(String($0)) } ?? .granted(scope)
  }

  package enum Scope: Equatable, Sendable {
    case granted(String?)
    /// The first scope that it may not have.
    case refused(String)
  }
}
