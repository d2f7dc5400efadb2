import COpenSSL

/// Why a client and this server did not come to terms, as far as the server can tell: words for programs.
package enum TLSHandshakeFailure: String, CaseIterable, Sendable {
  /// The client does not accept the server's certificate, and has said so.
  case serverCertificateRefused = "server_certificate_refused"
  case clientCertificateMissing = "client_certificate_missing"
  case clientCertificateExpired = "client_certificate_expired"
  /// It is of none of the CAs of clients, or not for clients.
  case clientCertificateRefused = "client_certificate_refused"
  case protocolVersion = "protocol_version"
  case noCommonCipher = "no_common_cipher"
  case noCommonProtocol = "no_common_protocol"
  case notTLS = "not_tls"
  /// The client has left in the middle of it.
  case closed
  case timeout
  case other

  /// `failure` is OpenSSL's code, 0 where it was not TLS that failed; `verdict` is on the client's certificate.
  init(_ failure: UInt, verdict: Int) {
    self =
      switch ERR_GET_REASON(failure) {
      case 0, SSL_R_UNEXPECTED_EOF_WHILE_READING: .closed
      case SSL_R_CERTIFICATE_VERIFY_FAILED:
        verdict == Int(X509_V_ERR_CERT_HAS_EXPIRED) ? .clientCertificateExpired : .clientCertificateRefused
      case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE: .clientCertificateMissing
      case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE, SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE,
        SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED, SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED,
        SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN, SSL_R_TLSV1_ALERT_UNKNOWN_CA:
        .serverCertificateRefused
      case SSL_R_UNSUPPORTED_PROTOCOL, SSL_R_VERSION_TOO_LOW, SSL_R_TLSV1_ALERT_PROTOCOL_VERSION: .protocolVersion
      case SSL_R_NO_SHARED_CIPHER: .noCommonCipher
      case SSL_R_NO_APPLICATION_PROTOCOL: .noCommonProtocol
      case SSL_R_WRONG_VERSION_NUMBER, SSL_R_PACKET_LENGTH_TOO_LONG, SSL_R_HTTP_REQUEST, SSL_R_BAD_RECORD_TYPE: .notTLS
      default: .other
      }
  }
}
