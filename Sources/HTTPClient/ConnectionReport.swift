/// How connecting to a server went, as libcurl tells it. Nothing was asked over the connection.
package struct ConnectionReport: Sendable {
  /// What connecting is made of, in this order.
  package enum Stage: Sendable { case lookup, proxy, connect, handshake }

  /// What has gone wrong, in libcurl's words.
  package struct Failure: Sendable {
    package let stage: Stage
    package let message: String
    package let cause: Cause
  }

  package enum Cause: String, Sendable {
    case expired
    case notYetValid = "not_yet_valid"
    case wrongHost = "wrong_host"
    case unknownAuthority = "unknown_authority"
    /// What answers there speaks no TLS, or none that is spoken here.
    case noTLS = "no_tls"
    /// The file with the authorities cannot be read.
    case authoritiesFile = "authorities_file"
    /// The client's own certificate cannot be used, or one is asked for.
    case identity
    case other
  }

  /// Where the connection was taken: an address of the server or, with one, of the proxy; nil if nowhere, and with some
  /// versions of libcurl if a step behind that has failed.
  package var address: String?
  package var port = 0
  /// From the start until the name was looked up, the connection was there, and its TLS agreed on; nil for what was not
  /// reached.
  package var lookupTime: Duration?
  package var connectTime: Duration?
  package var handshakeTime: Duration?
  /// `TLSv1.3`; nil without TLS.
  package var tlsVersion: String?
  package var certificate: ServerCertificate?
  package var failure: Failure?

  /// This report with `failure`, unless curl came far enough to report one itself.
  func failing(_ failure: HTTPClient.Failure) -> ConnectionReport {
    var report = self
    report.failure = self.failure ?? Failure(stage: .connect, message: failure.message, cause: .other)
    return report
  }
}

/// What people ask about a server's certificate.
package struct ServerCertificate: Sendable, Equatable {
  package var subject = ""
  package var issuer = ""
  /// The hosts that it is for, as OpenSSL prints them: `DNS:example.com, IP Address:192.0.2.1`.
  package var names = ""
  /// Unix time in seconds; nil where it cannot be read.
  package var expiresAt: Double?
}
