import Basics
package import OAuth

/// What log lines call a request by: its id, its place in a trace, where its sender has told one, and who that was.
package struct RequestIdentity: Sendable {
  /// Who sent a request, as far as its connection tells.
  package struct Sender: Sendable {
    /// Where it came from, for people: an address and a port, of which a proxy may have told, or a Unix user.
    package let peer: String
    /// The same as far as one place can be told from another: without what the sender can choose.
    package let place: String
    /// What its certificate shows, where it has one.
    package let certificate: CertificateNames?

    package init(peer: String, place: String, certificate: CertificateNames? = nil) {
      self.peer = peer
      self.place = place
      self.certificate = certificate
    }
  }

  package let id: String
  package let trace: TraceContext?
  /// nil for what a request causes.
  package let sender: Sender?

  package init(id: String, trace: TraceContext? = nil, sender: Sender? = nil) {
    self.id = id
    self.trace = trace
    self.sender = sender
  }

  /// As fields of a log line.
  package var facts: [(name: String, value: String)] {
    [("request_id", id)] + (trace.map { [("span_id", $0.spanID), ("trace_id", $0.traceID)] } ?? [])
      + (sender.map { [("peer", $0.peer)] } ?? [])
  }

  /// The same, with what the sender's certificate shows: for those that tell who it was.
  package var allFacts: [(name: String, value: String)] { facts + (sender?.certificate?.facts ?? []) }
}

extension CertificateNames {
  /// As much of each as a log line has room for.
  private static let limit = 300

  fileprivate var facts: [(name: String, value: String)] {
    [
      ("certificate_uris", uris.joined(separator: " ")), ("certificate_dns_names", dnsNames.joined(separator: " ")),
      ("certificate_subject", subject),
    ].filter { !$0.1.isEmpty }.map { ($0, PrintableText.text($1, limit: Self.limit)) }
  }
}
