import Basics
import Logging
package import BrokerCore

/// A line for each token that an authenticated caller is given, for each that it is denied, for tokens that proxies
/// were not given, and for those that operators throw away; now and then for callers that ask too often, and for what
/// the server refuses.
package struct AuditLog: Sendable {
  private let control: LogControl
  private let output: LogOutput
  package let denials = RecentDenials()
  /// Anybody can be denied, as often as they like. Of each caller there are so many lines a minute for each reason, and
  /// of each place where nobody is recognised.
  private let ofCallers = LineAllowances(perMinute: 60)
  private let ofOthers = LineAllowances(perMinute: 60)
  /// Places can be made up, too (of IPv6 addresses one has many).
  private let ofAllOthers = LineAllowances(perMinute: 6000)
  /// To find the audience that was meant takes time.
  private let hints = LineAllowances(perMinute: 6)
  /// While a tenant is down, each request of a busy proxy goes without a token.
  private let withheld = LineAllowances(perMinute: 60)
  private let excesses = RepeatedLines()
  private let outages = RepeatedLines()
  private let debts = RepeatedLines()
  private let refusals = RepeatedLines()
  private let handshakes = RepeatedLines()

  package init(_ control: LogControl, _ output: LogOutput = .standardError) {
    self.control = control
    self.output = output
  }

  /// Whether there is a line for each token that a caller is given.
  package var saysGiven: Bool {
    let settings = control.settings
    return settings.audits && settings.level <= .info
  }

  /// `name` is a caller's, or a client id of the tenant's own.
  package func given(_ key: TokenKey, to name: String, _ request: RequestIdentity) {
    guard saysGiven else { return }
    var facts = [("audience", key.audience), ("caller", name), ("client", key.client.name)]
    if let organization = key.organization { facts.append(("organization", organization)) }
    facts += request.facts
    if let scope = key.scope { facts.append(("scope", scope)) }
    output.add(control.settings.format, level: .info, "token given", facts)
  }

  /// `name` is a caller's; nil where nobody was recognised. `meant` finds the audience that it probably meant, which
  /// may take a while.
  package func denied(
    _ name: String?, audience: String?, reason: String, _ request: RequestIdentity,
    meant: (@Sendable () -> NearestAudience?)? = nil
  ) {
    note(name, audience: audience, reason: reason, request)
    let settings = control.settings
    guard settings.level <= .warning, let unsaid = admit(reason, of: name, request) else { return }
    let line = facts([("reason", reason)], .denialsNotLogged, unsaid, name, audience: audience, request)
    guard let name, let meant, hints.admit(name, now: .now) != nil else {
      return output.add(settings.format, level: .warning, "denied", line)
    }
    Task { [output] in
      let hint = meant().map { [("nearest_audience", $0.name), ("difference", $0.difference)] } ?? []
      output.add(settings.format, level: .warning, "denied", line + hint)
    }
  }

  /// How many denials like it were not logged before; nil where it is not to be logged either.
  private func admit(_ reason: String, of name: String?, _ request: RequestIdentity) -> Int? {
    // What the request says may stand behind a quotation mark or a colon: that makes no other reason.
    let kind = reason.prefix { $0 != "'" && $0 != ":" }
    if let name { return ofCallers.admit("\(name) \(kind)", now: .now) }
    guard let unsaid = ofOthers.admit("\(request.sender?.place ?? "") \(kind)", now: .now) else { return nil }
    return ofAllOthers.admit("", now: .now).map { unsaid + $0 }
  }

  private func note(_ name: String?, audience: String?, reason: String, _ request: RequestIdentity) {
    let denial = Denial(
      at: .now, peer: request.sender?.peer ?? "", caller: name, audience: audience, reason: reason)
    denials.note(denial, from: request.sender?.place ?? "")
  }

  /// A proxy that asked for the sake of another's request was given no token, and not told why. `error` is the word
  /// that other callers would have been told.
  package func withheld(
    _ name: String?, audience: String?, error: String, reason: String, _ request: RequestIdentity
  ) {
    let settings = control.settings
    let who = name ?? request.sender?.place ?? ""
    guard settings.level <= .warning, let unsaid = withheld.admit("\(who) \(error)", now: .now) else { return }
    let why = [("error", error), ("reason", reason)]
    output.add(
      settings.format, level: .warning, "no token for a proxy",
      facts(why, .requestsNotLogged, unsaid, name, audience: audience, request))
  }

  /// The server has refused what came from `peer`, which may be no request at all: there is a line a minute of each
  /// reason, of which there are few.
  package func refused(_ reason: String, status: Int, from peer: () -> String) {
    let settings = control.settings
    guard settings.level <= .warning, let repeats = refusals.admit(reason, now: .now) else { return }
    var facts = [("peer", peer()), ("reason", reason), ("status", "\(status)")]
    if repeats > 0 { facts.append(("repeats", "\(repeats)")) }
    output.add(settings.format, level: .warning, "refused", facts)
  }

  /// A client of `peer` and the server did not come to terms by TLS: there is a line a minute of each kind of reason,
  /// `failure`, which `detail` tells more of.
  package func handshakeFailed(_ failure: String, _ detail: String?, from peer: () -> String) {
    let settings = control.settings
    guard settings.level <= .warning, let repeats = handshakes.admit(failure, now: .now) else { return }
    var facts = [("error", failure), ("peer", peer())]
    if let detail { facts.append(("reason", detail)) }
    if repeats > 0 { facts.append(("repeats", "\(repeats)")) }
    output.add(settings.format, level: .warning, "a TLS handshake has failed", facts)
  }

  /// An operator has thrown tokens away: those of what `subject` names.
  package func purged(_ purge: Purge, _ subject: (name: String, value: String), _ request: RequestIdentity) {
    let settings = control.settings
    guard settings.level <= .warning else { return }
    var facts = [
      subject, ("dropped", "\(purge.dropped)"), ("kept", "\(purge.kept)"), ("mints", "\(purge.mints)"),
    ]
    if purge.isStoreCleared == false { facts.append(("reason", "the store could not be cleared of them")) }
    output.add(settings.format, level: .warning, "tokens dropped on demand", facts + request.facts)
  }

  /// An operator has had the tenant asked again; `error` is what it has failed with again.
  package func retried(audience: String, error: String?, _ request: RequestIdentity) {
    let settings = control.settings
    guard settings.level <= .notice else { return }
    var facts = [("audience", audience)]
    if let error { facts.append(("error", error)) }
    output.add(settings.format, level: .notice, "asked again on demand", facts + request.facts)
  }

  /// A request is refused because its sender asks too often: there is a line a minute of each. `name` is a caller's, or
  /// a client id of the tenant's own.
  package func limited(_ name: String, audience: String?, _ request: RequestIdentity) {
    let settings = control.settings
    let reason = "the caller asks too often"
    note(name, audience: audience, reason: reason, request)
    guard settings.level <= .warning, let repeats = excesses.admit(name, now: .now) else { return }
    var facts = [("reason", reason)] + request.allFacts
    if repeats > 0 { facts.append(("repeats", "\(repeats)")) }
    facts.append(("caller", name))
    if let audience { facts.append(("audience", audience)) }
    output.add(settings.format, level: .warning, "denied", facts)
  }

  /// The tenant is not asked for what may be made up, because the payer has made it refuse too much: there is a line a
  /// minute of each, and of newcomers of each place that they come from. `name` is as for `limited`.
  package func unpaid(_ key: TokenKey, _ payer: Payer, name: String, _ request: RequestIdentity) {
    let settings = control.settings
    var facts = [("client", key.client.name), ("caller", name), ("audience", key.audience)]
    var debtor = name
    if case .newcomer(_, let source) = payer {
      debtor = source
      facts.append(("source", source))
    }
    guard settings.level <= .warning, let repeats = debts.admit(debtor, now: .now) else { return }
    if repeats > 0 { facts.append(("repeats", "\(repeats)")) }
    output.add(settings.format, level: .warning, "an allowance for refusals is used up", facts + request.facts)
  }

  /// A caller's signed token cannot be checked, for want of its issuer's keys; a line a minute. `details` are fields.
  package func uncheckable(
    reason: String, details: [(name: String, value: String)], _ request: RequestIdentity
  ) {
    let settings = control.settings
    guard settings.level <= .warning, let repeats = outages.admit("", now: .now) else { return }
    let repeated = repeats > 0 ? [("repeats", "\(repeats)")] : []
    output.add(
      settings.format, level: .warning, "a caller's token cannot be checked",
      [("reason", reason)] + details + repeated + request.facts)
  }

  /// What a line says of a request, and how many like it are missing before.
  private func facts(
    _ why: [(String, String)], _ missing: LogField, _ unsaid: Int, _ name: String?, audience: String?,
    _ request: RequestIdentity
  ) -> [(name: String, value: String)] {
    var facts = why + request.allFacts
    if unsaid > 0 { facts.append((missing.rawValue, "\(unsaid)")) }
    if let name { facts.append(("caller", name)) }
    if let audience { facts.append(("audience", audience)) }
    return facts
  }
}
