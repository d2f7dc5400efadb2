import Basics
package import Settings

/// One thing that `token-broker check` has looked at. The words in here are for programs too, and stay as they are.
package struct Finding: Sendable {
  package enum Check: String, Sendable {
    case configuration, libraries, use, certificate, store
    case assertion, dns, proxy, tcp, tls, discovery, jwks, clock, token
  }

  package enum Verdict: String, Sendable {
    case ok, warning, failed
    /// It could not be looked at, or there is nothing to look at; the message says why.
    case skipped
  }

  package typealias Facts = [(name: String, value: [UInt8])]

  let check: Check
  let verdict: Verdict
  /// A host and port, a URL, an audience or a setting.
  var target: String?
  /// Where the setting stands.
  var source: String?
  /// The name of the client that it concerns.
  var client: String?
  let message: String
  /// What a person can do about it.
  var remedy: String?
  /// What the message says, for programs; each value is JSON.
  var facts: Facts = []

  package static func ok(_ check: Check, _ target: String? = nil, _ message: String, _ facts: Facts = []) -> Finding {
    Finding(check: check, verdict: .ok, target: target, message: message, facts: facts)
  }

  static func warning(
    _ check: Check, _ target: String? = nil, _ message: String, remedy: String, _ facts: Facts = []
  ) -> Finding {
    Finding(check: check, verdict: .warning, target: target, message: message, remedy: remedy, facts: facts)
  }

  static func failed(
    _ check: Check, _ target: String? = nil, _ message: String, remedy: String?, _ facts: Facts = []
  ) -> Finding {
    Finding(check: check, verdict: .failed, target: target, message: message, remedy: remedy, facts: facts)
  }

  static func skipped(_ check: Check, _ target: String? = nil, _ reason: String) -> Finding {
    Finding(check: check, verdict: .skipped, target: target, message: reason)
  }

  func of(client name: String) -> Finding {
    var finding = self
    finding.client = name
    return finding
  }
}

extension Finding {
  /// Something that is wrong with the configuration; what was expected is the remedy.
  package init(_ error: ConfigurationError) {
    self = .failed(.configuration, error.key, error.expectation, remedy: nil)
    source = error.source
  }

  /// Something that can never work as it is configured.
  init(_ warning: ConfigurationWarning) {
    self = .warning(.use, warning.subject, warning.message, remedy: warning.remedy)
    source = warning.source
  }
}
