import COpenSSL

/// A server's certificate and TLS settings, shared by its connections.
@safe package final class TLSContext: @unchecked Sendable {
  // Unchecked because a pointer is not Sendable; SSL_CTX is counted and locked inside OpenSSL, and not changed after init.
  fileprivate let context: OpaquePointer

  /// A server context from a PEM certificate chain (leaf first) and its PEM private key. Throws `TLSError`.
  package init(certificatePEM: String, keyPEM: String) throws(TLSError) {
    guard let context = unsafe SSL_CTX_new(TLS_server_method()) else { throw TLSError("making a TLS context") }
    unsafe self.context = context
    _ = unsafe copenssl_set_min_tls12(context)
    _ = unsafe copenssl_set_mode(
      context, Int(SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS))

    let certificates = try unsafe Self.reading(certificatePEM, { unsafe PEM_read_bio_X509($0, nil, nil, nil) })
    guard let leaf = unsafe certificates.first else { throw TLSError("reading the certificate") }
    defer { unsafe certificates.forEach { unsafe X509_free($0) } }
    guard unsafe SSL_CTX_use_certificate(context, leaf) == 1 else { throw TLSError("using the certificate") }
    for index in unsafe certificates.indices.dropFirst() {
      let certificate = unsafe UnsafeMutableRawPointer(certificates[index])
      // The context takes its own reference (argument 1).
      guard unsafe SSL_CTX_ctrl(context, SSL_CTRL_CHAIN_CERT, 1, certificate) == 1
      else { throw TLSError("using the certificate chain") }
    }
    let keys = try unsafe Self.reading(keyPEM, { unsafe PEM_read_bio_PrivateKey($0, nil, nil, nil) })
    guard let key = unsafe keys.first else { throw TLSError("reading the private key") }
    defer { unsafe keys.forEach { unsafe EVP_PKEY_free($0) } }
    guard unsafe SSL_CTX_use_PrivateKey(context, key) == 1, unsafe SSL_CTX_check_private_key(context) == 1
    else { throw TLSError("using the private key; does it belong to the certificate?") }
  }

  deinit {
    unsafe SSL_CTX_free(context)
  }

  /// Each PEM object of the text that `read` finds.
  private static func reading(
    _ pem: String, _ read: (OpaquePointer) -> OpaquePointer?
  ) throws(TLSError) -> [OpaquePointer] {
    guard let source = unsafe BIO_new(BIO_s_mem()) else { throw TLSError("reading PEM") }
    defer { unsafe _ = BIO_free(source) }
    let bytes = Array(pem.utf8)
    guard unsafe BIO_write(source, bytes, Int32(clamping: bytes.count)) == bytes.count else {
      throw TLSError("reading PEM")
    }
    var found = unsafe [OpaquePointer]()
    while let next = unsafe read(source) { unsafe found.append(next) }
    ERR_clear_error()
    return unsafe found
  }
}

/// The server's side of one TLS connection over a non-blocking descriptor.
@safe final class TLSStream {
  private let session: OpaquePointer

  init(_ context: TLSContext, over descriptor: Int32) throws(TLSError) {
    guard let session = unsafe SSL_new(context.context) else { throw TLSError("making a TLS connection") }
    unsafe self.session = session
    unsafe SSL_set_accept_state(session)
    guard unsafe SSL_set_fd(session, descriptor) == 1 else { throw TLSError("making a TLS connection") }
  }

  deinit {
    unsafe SSL_free(session)
  }

  func receive(into buffer: UnsafeMutableRawBufferPointer) -> StreamResult {
    result { unsafe SSL_read(session, buffer.baseAddress, Int32(clamping: buffer.count)) }
  }

  func send(_ bytes: UnsafeRawBufferPointer) -> StreamResult {
    result { unsafe SSL_write(session, bytes.baseAddress, Int32(clamping: bytes.count)) }
  }

  /// Known once there is something to read.
  var speaksHTTP2: Bool {
    var name: UnsafePointer<UInt8>?
    var count: UInt32 = 0
    unsafe SSL_get0_alpn_selected(session, &name, &count)
    return unsafe UnsafeBufferPointer(start: name, count: Int(count)).elementsEqual("h2".utf8)
  }

  /// Decrypted bytes wait here where epoll cannot see them.
  var hasBuffered: Bool { unsafe SSL_pending(session) > 0 }

  /// Tells the peer that no more will come.
  func endOutput() {
    ERR_clear_error()
    _ = unsafe SSL_shutdown(session)
  }

  private func result(_ call: () -> Int32) -> StreamResult {
    ERR_clear_error()
    let count = call()
    if count > 0 { return .bytes(Int(count)) }
    switch unsafe SSL_get_error(session, count) {
    case SSL_ERROR_WANT_READ: return .blocked(on: .readable)
    case SSL_ERROR_WANT_WRITE: return .blocked(on: .writable)
    case SSL_ERROR_ZERO_RETURN: return .ended
    default:
      ERR_clear_error()
      return .failed
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
    let reason = String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    description = "\(attempt): \(reason)"
  }
}
