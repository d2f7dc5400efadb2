import COpenSSL

/// A client's TLS settings, shared by its connections: TLS 1.2 and 1.3, and no server that cannot prove its name.
@safe package final class TLSClientContext: @unchecked Sendable {
  // Unchecked because a pointer is not Sendable; SSL_CTX is counted and locked inside OpenSSL, and not changed after
  // init.
  let context: OpaquePointer

  /// A client's certificate chain, leaf first, and its private key.
  package struct Identity: Sendable {
    package let certificate: PEM
    package let key: PEM

    package init(certificate: PEM, key: PEM) {
      self.certificate = certificate
      self.key = key
    }
  }

  /// Trusts `authorities` in place of those that the system trusts. Throws `TLSError`.
  package init(authorities: PEM? = nil, identity: Identity? = nil) throws(TLSError) {
    guard let context = unsafe SSL_CTX_new(TLS_client_method()) else { throw TLSError("making a TLS context") }
    unsafe self.context = context
    // Now that this is whole, whatever is thrown runs deinit.
    try unsafe TLSContext.configure(context)
    unsafe SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nil)
    if let authorities {
      _ = try unsafe TLSContext.trust(authorities, "the CAs", context)
    } else if unsafe SSL_CTX_set_default_verify_paths(context) != 1 {
      throw TLSError("reading the system's CAs")
    }
    if let identity { try unsafe TLSContext.use(identity.certificate, identity.key, context) }
  }

  deinit { unsafe SSL_CTX_free(context) }
}
