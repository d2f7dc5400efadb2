import COpenSSL

/// What a certificate says of itself, for those who have to replace it in time.
package struct Certificate: Sendable {
  /// Whom it is for: its alternative names (RFC 5280 §4.2.1.6), or its subject where it has none.
  package let names: [String]
  /// As RFC 2253 writes it.
  package let subject: String
  /// It is good between these two, in Unix time.
  package let notBefore: Double
  package let notAfter: Double

  /// The certificates in a PEM text or file, in their order. Throws `TLSError` where there is none.
  package static func all(in pem: PEM) throws(TLSError) -> [Certificate] {
    let found = try unsafe pem.objects("the certificate") { unsafe PEM_read_bio_X509($0, nil, nil, nil) }
    defer { unsafe found.forEach { unsafe X509_free($0) } }
    return unsafe found.map { unsafe Certificate($0) }
  }

  private init(_ certificate: OpaquePointer) {
    subject = unsafe PeerCertificate.subject(of: certificate)
    let alternatives = unsafe PeerCertificate.alternativeNames(of: certificate).map(\.text)
    names = alternatives.isEmpty ? [subject] : alternatives
    notBefore = unsafe Self.seconds(X509_get0_notBefore(certificate))
    notAfter = unsafe Self.seconds(X509_get0_notAfter(certificate))
  }

  /// In Unix time; 0 for a time that is malformed.
  private static func seconds(_ time: UnsafePointer<ASN1_TIME>?) -> Double {
    let epoch = unsafe ASN1_TIME_set(nil, 0)
    defer { unsafe ASN1_TIME_free(epoch) }
    var (days, seconds): (Int32, Int32) = (0, 0)
    guard unsafe ASN1_TIME_diff(&days, &seconds, epoch, time) == 1 else { return 0 }
    return Double(days) * 86_400 + Double(seconds)
  }
}
