import Basics
import OAuth
package import BrokerCore

/// A key as a row of the report: what is known of it, and how it fares.
package struct KeyRow: Sendable {
  package let key: TokenKey
  /// nil for one that is only listed in the configuration.
  let status: KeyStatus?
  let state: StatusReport.Audience.State
  /// It stands in the configuration, or has yielded a token: whoever asks for it has not made it up.
  let isKnown: Bool

  /// All keys, those with the worst trouble first, then by name, so that rows stay where they are.
  package static func all(_ facts: StatusFacts) -> [KeyRow] {
    struct Place: Hashable {
      let client: String
      let grant: Grant
    }
    // What is left of a client that is no longer there is nobody's concern.
    let present = Set(facts.clients.flatMap(\.clients))
    let keys = facts.broker.keys.filter { present.contains($0.key.client) }
    let known = Set(
      keys.lazy.map(\.key).filter { $0.holder == nil }.map { Place(client: $0.client.name, grant: $0.grant) })
    let idle = facts.listed.filter { !known.contains(Place(client: $0.client.name, grant: $0.grant)) }
    let listed = Set(facts.listed)
    let amends = facts.amends
    let rows =
      keys.map { status in
        KeyRow(
          key: status.key, status: status, state: state(of: status, amends[status.key.client], now: facts.now),
          isKnown: status.isProven || status.isPrefetched || listed.contains(status.key))
      } + idle.map { KeyRow(key: $0, status: nil, state: .idle, isKnown: true) }
    // Only what they are sorted by is moved about: there may be many thousands.
    return rows.indices.map { (rows[$0].state.rank, rows[$0].urgency, rows[$0].key.name, $0) }.sorted(by: <)
      .map { rows[$0.3] }
  }

  /// Among those that cannot be renewed, the one that ends first comes first.
  private var urgency: Int64 { state == .refreshFailing ? status?.token?.servableUntil.nanoseconds ?? 0 : 0 }

  private static func state(
    of status: KeyStatus, _ amends: StatusFacts.Amends?, now: Instant
  ) -> StatusReport.Audience.State {
    guard let token = status.token else {
      return status.lastFailure != nil || status.refusal != nil ? .failing : status.fetch == .none ? .idle : .fetching
    }
    var hasFailed = status.lastFailure.map { $0.at > token.minted.mintedAt } ?? false
    // A token that was to be replaced before its time is not asked for again before that.
    if hasFailed, now < token.refreshAt, let failure = status.lastFailure {
      hasFailed = amends?.mend(failure) != true
    }
    return hasFailed || (status.refusal != nil && status.fetch == .queued) ? .refreshFailing : .held
  }

  /// A failure counts for so long at the least: one that passes is remembered for moments only, and looks well between.
  private static let concern = Duration.seconds(60)

  /// Whether what is wrong with it is of concern now: nobody may need it any more.
  func isPressing(_ now: Instant) -> Bool {
    guard let status else { return false }
    return status.refusal != nil || status.lastFailure.map { $0.at.duration(to: now) < Self.concern } ?? false
  }

  /// Whether there is a reason to tell of.
  func isTroubled(_ now: Instant) -> Bool { state == .refreshFailing || state == .failing && isPressing(now) }

  /// What callers who need a new token are told now, or else what went wrong last.
  var error: TokenError? { status?.refusal ?? status?.lastFailure?.error }

  /// When the tenant may be asked again.
  func retryAt(_ now: Instant) -> Instant? { status?.refusal?.retryAfter.map { now.advanced(by: $0) } }
}

extension TokenKey {
  fileprivate var name: String {
    [grant.audience, grant.scope ?? "", grant.organization ?? "", client.name, holder?.hex ?? ""].joined(separator: " ")
  }
}
