import COpenSSL

/// A server's certificate and TLS settings, shared by its connections: TLS 1.2 and 1.3, only ciphers with forward
/// secrecy that HTTP/2 allows too (RFC 9113 §9.2), and resumption by tickets that no other context accepts.
@safe package final class TLSContext: @unchecked Sendable {
  /// Whether clients have to prove who they are with a certificate of one of the CAs.
  package enum Clients: Sendable {
    case anonymous
    /// Those without a certificate are let in, nameless; those with a bad one are not.
    case optional(PEM)
    case required(PEM)

    package var areRequired: Bool { if case .required = self { true } else { false } }
  }

  // Unchecked because a pointer is not Sendable; SSL_CTX is counted and locked inside OpenSSL, and not changed after
  // init.
  let context: OpaquePointer
  package let certificate: PEM
  package let clients: Clients
  /// The CAs of clients in DER, to tell whether another context has the same.
  private let authorities: [[UInt8]]

  /// A server's context. The chain of its certificate has the leaf first. With `offersHTTP2` ALPN prefers `h2` to
  /// `http/1.1`. Throws `TLSError`.
  package init(certificate: PEM, key: PEM, clients: Clients = .anonymous, offersHTTP2: Bool = false) throws(TLSError) {
    guard let context = unsafe SSL_CTX_new(TLS_server_method()) else { throw TLSError("making a TLS context") }
    unsafe self.context = context
    self.certificate = certificate
    self.clients = clients
    var authorities: [[UInt8]] = []
    do throws(TLSError) {
      try unsafe Self.configureServer(context, offersHTTP2)
      try unsafe Self.use(certificate, key, context)
      switch clients {
      case .anonymous: break
      case .optional(let pem): authorities = try unsafe Self.verify(context, pem, SSL_VERIFY_PEER)
      case .required(let pem):
        authorities = try unsafe Self.verify(context, pem, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT)
      }
    } catch {
      unsafe SSL_CTX_free(context)
      throw error
    }
    self.authorities = authorities
  }

  deinit { unsafe SSL_CTX_free(context) }

  /// What servers and clients have in common.
  static func configure(_ context: OpaquePointer) throws(TLSError) {
    _ = unsafe copenssl_set_min_tls12(context)
    _ = unsafe copenssl_set_mode(
      context, Int(SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS))
    _ = unsafe copenssl_set_options(context)
    guard unsafe SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20") == 1 else {
      throw TLSError("choosing ciphers")
    }
  }

  private static func configureServer(_ context: OpaquePointer, _ offersHTTP2: Bool) throws(TLSError) {
    try unsafe configure(context)
    // One system call for a record instead of two.
    unsafe copenssl_set_read_ahead(context)
    // Tickets resume sessions instead, and cost this process no memory.
    _ = unsafe copenssl_without_session_cache(context)
    // Two by default, and the second is for clients that open several connections at once and never use one ticket
    // twice (RFC 8446 §C.4).
    guard unsafe SSL_CTX_set_num_tickets(context, 1) == 1 else { throw TLSError("setting the number of tickets") }
    // A ticket names the client that it was given to, so it must be good for this context only.
    var identity = [UInt8](repeating: 0, count: 32)
    guard unsafe RAND_bytes(&identity, 32) == 1,
      unsafe SSL_CTX_set_session_id_context(context, identity, UInt32(identity.count)) == 1
    else { throw TLSError("naming the TLS context") }
    unsafe copenssl_set_protocols(context, offersHTTP2 ? 1 : 0)
  }

  static func use(_ certificate: PEM, _ key: PEM, _ context: OpaquePointer) throws(TLSError) {
    let chain = try unsafe certificate.objects("the certificate") { unsafe PEM_read_bio_X509($0, nil, nil, nil) }
    defer { unsafe chain.forEach { unsafe X509_free($0) } }
    guard unsafe SSL_CTX_use_certificate(context, chain[0]) == 1 else { throw TLSError("using the certificate") }
    for index in unsafe chain.indices.dropFirst() {
      let issuer = unsafe UnsafeMutableRawPointer(chain[index])
      // The context takes its own reference (argument 1).
      guard unsafe SSL_CTX_ctrl(context, SSL_CTRL_CHAIN_CERT, 1, issuer) == 1
      else { throw TLSError("using the certificate chain") }
    }
    // An encrypted key cannot be used; without this callback OpenSSL would ask a terminal for its passphrase.
    let keys = try unsafe key.objects("the private key") {
      unsafe PEM_read_bio_PrivateKey($0, nil, { _, _, _, _ in 0 }, nil)
    }
    defer { unsafe keys.forEach { unsafe EVP_PKEY_free($0) } }
    guard unsafe SSL_CTX_use_PrivateKey(context, keys[0]) == 1, unsafe SSL_CTX_check_private_key(context) == 1
    else { throw TLSError("using the private key; does it belong to the certificate?") }
  }

  /// Returns the CAs in DER.
  private static func verify(_ context: OpaquePointer, _ pem: PEM, _ mode: Int32) throws(TLSError) -> [[UInt8]] {
    let authorities = try unsafe trust(pem, "the CAs of clients", context, announcing: true)
    unsafe SSL_CTX_set_verify(context, mode, nil)
    return authorities
  }

  /// Returns the CAs in DER. A server announces them to its clients.
  static func trust(
    _ pem: PEM, _ what: String, _ context: OpaquePointer, announcing: Bool = false
  ) throws(TLSError) -> [[UInt8]] {
    let found = try unsafe pem.objects(what) { unsafe PEM_read_bio_X509($0, nil, nil, nil) }
    defer { unsafe found.forEach { unsafe X509_free($0) } }
    let store = unsafe SSL_CTX_get_cert_store(context)
    var encoded: [[UInt8]] = []
    for index in unsafe found.indices {
      let authority = unsafe found[index]
      guard unsafe X509_STORE_add_cert(store, authority) == 1,
        unsafe !announcing || SSL_CTX_add_client_CA(context, authority) == 1
      else { throw TLSError("using \(what)") }
      var bytes: UnsafeMutablePointer<UInt8>?
      let count = unsafe i2d_X509(authority, &bytes)
      unsafe encoded.append(Array(UnsafeBufferPointer(start: bytes, count: Int(max(0, count)))))
      unsafe CRYPTO_free(bytes, nil, 0)
    }
    return encoded
  }

  /// Whether clients can show a certificate.
  package var asksForCertificates: Bool { if case .anonymous = clients { false } else { true } }

  /// What a client may call this server so that the certificate proves it: the IP address, or else a DNS name; nil if
  /// the certificate has neither.
  package func provenName(at address: String) -> String? {
    guard let certificate = unsafe SSL_CTX_get0_certificate(context) else { return nil }
    if unsafe X509_check_ip_asc(certificate, address, 0) == 1 { return address }
    let name = unsafe PeerCertificate.alternativeNames(of: certificate).first { $0.type == GEN_DNS }?.text
    return name.map { $0.hasPrefix("*.") ? "token-broker\($0.dropFirst())" : $0 }
  }

  /// Whether this context lets in every client that `other` lets in, and by the same name.
  package func admitsAll(of other: TLSContext) -> Bool {
    switch (other.clients, clients) {
    case (.anonymous, .anonymous), (.anonymous, .optional): true
    case (.optional, .optional), (.required, .optional), (.required, .required): authorities == other.authorities
    case (.optional, .required), (.anonymous, .required), (.optional, .anonymous), (.required, .anonymous): false
    }
  }
}

/// What OpenSSL could not do, with its own reason.
package struct TLSError: Error, CustomStringConvertible {
  package let description: String

  init(_ attempt: String) {
    var text = [CChar](repeating: 0, count: 256)
    unsafe ERR_error_string_n(ERR_get_error(), &text, text.count)
    ERR_clear_error()
    // error:CODE:LIBRARY:FUNCTION:REASON, and only the last is for people.
    let line = String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    let reason = line.split(separator: ":").last ?? "no reason given"
    description = "\(attempt): \(reason)"
  }
}
