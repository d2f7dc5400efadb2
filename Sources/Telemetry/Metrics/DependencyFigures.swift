package import Basics

/// What the broker depends on beside its tenants and its store, as metrics and reports show it.
package struct DependencyFigures: Sendable {
  /// How the configuration came into force.
  package struct Configuration: Sendable {
    /// When the one in force was read, in Unix time.
    package var loadedAt: Double
    /// When it was last read, right or wrong.
    package var lastReloadAt: Double
    /// Why it stays as it was; nil where it was right.
    package var problem: String?

    package init(loadedAt: Double, lastReloadAt: Double, problem: String? = nil) {
      self.loadedAt = loadedAt
      self.lastReloadAt = lastReloadAt
      self.problem = problem
    }
  }

  /// The public keys of an issuer of tokens.
  package struct KeySet: Sendable {
    package let issuer: String
    /// The client whose tenant has it; nil for the issuer of callers' tokens.
    package let client: String?
    package let keys: Int
    /// When they were read; nil: not yet, or they came with the configuration.
    package let readAt: Instant?
    /// Why they could not be read; nil where they could.
    package let problem: String?

    package init(issuer: String, client: String?, keys: Int, readAt: Instant?, problem: String?) {
      self.issuer = issuer
      self.client = client
      self.keys = keys
      self.readAt = readAt
      self.problem = problem
    }
  }

  package var configuration: Configuration
  package var certificates: [OwnCertificate]
  /// Those of callers' issuers, and those of tenants that are known by now.
  package var keySets: [KeySet]

  package init(configuration: Configuration, certificates: [OwnCertificate], keySets: [KeySet]) {
    self.configuration = configuration
    self.certificates = certificates
    self.keySets = keySets
  }
}
