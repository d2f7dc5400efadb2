package import OAuth

/// Who may ask, for what, and how callers prove themselves.
package struct Callers: Sendable {
  package var directory = CallerDirectory()
  /// By name, for those who come as OAuth clients.
  package var byName: [String: Caller] = [:]
  /// Checks the tokens of Kubernetes service accounts.
  package var serviceAccounts: JWTVerifier?
  /// What `serviceAccounts` was made of, to be told from another one.
  package var verifierSettings: [String?] = []

  package init() {}
}
