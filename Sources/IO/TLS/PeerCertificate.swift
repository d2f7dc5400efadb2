import COpenSSL

/// The names in a client's certificate that the handshake has verified.
///
/// Alternative names that hold anything but visible ASCII are left out: what follows a NUL has fooled readers before
/// (CVE-2009-2408).
package final class PeerCertificate: Sendable {
  /// Uniform resource identifiers among the subject alternative names (RFC 5280 §4.2.1.6), as SPIFFE has them.
  package let uris: [String]
  package let dnsNames: [String]
  /// The subject as RFC 2253 writes it: the most specific part first.
  package let subject: String

  package init(uris: [String], dnsNames: [String], subject: String) {
    self.uris = uris
    self.dnsNames = dnsNames
    self.subject = subject
  }

  /// Nil for a certificate that has expired, which resuming a session does not check.
  convenience init?(_ certificate: OpaquePointer) {
    guard unsafe X509_cmp_current_time(X509_get0_notAfter(certificate)) > 0 else { return nil }
    let names = unsafe Self.alternativeNames(of: certificate)
    self.init(
      uris: names.filter { $0.type == GEN_URI }.map(\.text),
      dnsNames: names.filter { $0.type == GEN_DNS }.map(\.text), subject: unsafe Self.subject(of: certificate))
  }

  /// URIs, DNS names and addresses, with what each is (RFC 5280 §4.2.1.6).
  static func alternativeNames(of certificate: OpaquePointer) -> [(type: Int32, text: String)] {
    guard let found = unsafe X509_get_ext_d2i(certificate, NID_subject_alt_name, nil, nil) else { return [] }
    let names = OpaquePointer(found)
    defer { unsafe GENERAL_NAMES_free(names) }
    let count = unsafe copenssl_names_count(names)
    return (0..<count).compactMap { index in
      var type: Int32 = 0
      guard let name = unsafe copenssl_name(names, index), let value = unsafe GENERAL_NAME_get0_value(name, &type),
        [GEN_URI, GEN_DNS, GEN_IPADD].contains(type)
      else { return nil }
      let string = unsafe value.assumingMemoryBound(to: ASN1_STRING.self)
      let bytes = unsafe UnsafeBufferPointer(
        start: ASN1_STRING_get0_data(string), count: Int(max(0, ASN1_STRING_length(string))))
      if type == GEN_IPADD {
        guard [4, 16].contains(bytes.count) else { return nil }
        return (type, unsafe SocketAddress(ip: Array(bytes), port: 0).host)
      }
      guard unsafe bytes.allSatisfy({ 0x21...0x7E ~= $0 }) else { return nil }
      return unsafe (type, String(decoding: bytes, as: UTF8.self))
    }
  }

  static func subject(of certificate: OpaquePointer) -> String {
    guard let output = unsafe BIO_new(BIO_s_mem()) else { return "" }
    defer { unsafe _ = BIO_free(output) }
    // Escapes control bytes, commas and what is beyond ASCII.
    unsafe _ = X509_NAME_print_ex(output, X509_get_subject_name(certificate), 0, copenssl_rfc2253())
    var text: UnsafeMutablePointer<CChar>?
    let count = unsafe copenssl_memory(output, &text)
    guard let text = unsafe text else { return "" }
    return unsafe String(decoding: UnsafeRawBufferPointer(start: text, count: count), as: UTF8.self)
  }
}
