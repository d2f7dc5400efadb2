package import Basics

/// Who is a caller, by what it shows.
package struct CallerDirectory: Sendable {
  /// One way for a caller to prove itself.
  package enum Proof: Hashable, Sendable {
    /// A key, sent as a bearer token or as an OAuth client's secret.
    case key(SHA256Digest)
    /// A name in a client certificate that was verified.
    case certificate(CertificateName)
    /// A Kubernetes service account, `namespace/name`.
    case serviceAccount(String)
    /// The user, or a group, of the process at the other end of a Unix socket.
    case unixUser(UInt32)
    case unixGroup(UInt32)
  }

  private var callers: [Proof: Caller] = [:]

  package init() {}

  /// The caller that has the proof already, and stays it; nil when `caller` has it now.
  package mutating func insert(_ proof: Proof, of caller: Caller) -> Caller? {
    if let other = callers[proof] { return other }
    callers[proof] = caller
    return nil
  }

  package func caller(_ proof: Proof) -> Caller? { callers[proof] }

  /// By its user first, then by its groups in their order.
  package func caller(user: UInt32, groups: [UInt32]) -> Caller? {
    callers[.unixUser(user)] ?? groups.lazy.compactMap { callers[.unixGroup($0)] }.first
  }

  /// By the names in its certificate, in their order.
  package func caller(_ certificate: CertificateNames) -> Caller? {
    certificate.all.lazy.compactMap { callers[.certificate($0)] }.first
  }

  package var hasServiceAccounts: Bool {
    callers.keys.contains { if case .serviceAccount = $0 { true } else { false } }
  }
}

/// All that a client's certificate names its holder by.
package struct CertificateNames: Sendable {
  package let uris: [String]
  package let dnsNames: [String]
  package let subject: String

  package init(uris: [String], dnsNames: [String], subject: String) {
    self.uris = uris
    self.dnsNames = dnsNames
    self.subject = subject
  }

  var all: [CertificateName] {
    uris.map { .uri($0) } + dnsNames.map { .dns($0.lowercased()) } + [.subject(subject)]
  }
}

/// What a certificate may name its holder by.
package enum CertificateName: Hashable, Sendable, CustomStringConvertible {
  /// A URI in the subject's alternative names, such as a SPIFFE id.
  case uri(String)
  case dns(String)
  /// The whole subject, as RFC 2253 writes it.
  case subject(String)

  /// As it is read.
  package var description: String {
    switch self {
    case .uri(let uri): uri
    case .dns(let name): "dns:\(name)"
    case .subject(let subject): "subject:\(subject)"
    }
  }

  /// Reads `dns:…`, `subject:…`, or a URI; nil for anything else.
  package init?(_ text: String) {
    let parts = text.split(separator: ":", maxSplits: 1)
    guard parts.count == 2 else { return nil }
    switch parts[0] {
    // Names in the DNS know no case (RFC 4343).
    case "dns": self = .dns(parts[1].lowercased())
    case "subject": self = .subject(String(parts[1]))
    default:
      guard text.contains("://") else { return nil }
      self = .uri(text)
    }
  }
}
