import COpenSSL

/// One side of a TLS connection over a non-blocking descriptor.
@safe final class TLSStream {
  private let session: OpaquePointer
  private let descriptor: Int32
  /// The server's context; nil on the side of the client.
  let context: TLSContext?
  private var hasBegun = false
  /// The peer has not begun with TLS but with text, so it is answered in text.
  private(set) var isClearText = false
  /// The handshake has succeeded. OpenSSL itself no longer says so once anything has failed.
  private var isEstablished = false
  /// OpenSSL's code for the last failure.
  private var failure: UInt = 0

  private init(of settings: OpaquePointer, _ context: TLSContext?, over descriptor: Int32) throws(TLSError) {
    guard let session = unsafe SSL_new(settings) else { throw TLSError("making a TLS connection") }
    unsafe self.session = session
    self.descriptor = descriptor
    self.context = context
    guard unsafe SSL_set_fd(session, descriptor) == 1 else { throw TLSError("making a TLS connection") }
  }

  /// The server's side.
  convenience init(_ context: TLSContext, over descriptor: Int32) throws(TLSError) {
    try unsafe self.init(of: context.context, context, over: descriptor)
    unsafe SSL_set_accept_state(session)
  }

  /// The client's side. The server's certificate must be for `host`, a name or a numeric address.
  convenience init(_ context: TLSClientContext, host: String, over descriptor: Int32) throws(TLSError) {
    try unsafe self.init(of: context.context, nil, over: descriptor)
    hasBegun = true
    unsafe SSL_set_connect_state(session)
    guard unsafe Self.expect(host, session) else { throw TLSError("making a TLS connection") }
  }

  /// A name is also told to the server (SNI, RFC 6066 §3), as an address must not be.
  private static func expect(_ host: String, _ session: OpaquePointer) -> Bool {
    let rules = unsafe SSL_get0_param(session)
    if unsafe X509_VERIFY_PARAM_set1_ip_asc(rules, host) == 1 { return true }
    ERR_clear_error()
    unsafe X509_VERIFY_PARAM_set_hostflags(rules, UInt32(X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS))
    return unsafe X509_VERIFY_PARAM_set1_host(rules, host, 0) == 1 && copenssl_set_server_name(session, host) == 1
  }

  deinit { unsafe SSL_free(session) }

  func receive(into buffer: UnsafeMutableRawBufferPointer) -> StreamResult {
    if !hasBegun, let result = begin() { return result }
    return result { unsafe SSL_read(session, buffer.baseAddress, Int32(clamping: buffer.count)) }
  }

  /// Tells TLS from text by the first byte: a TLS record's is 22. Every method of HTTP begins with a letter, so does
  /// version 1 of the PROXY protocol, and version 2 with a line's end.
  private func begin() -> StreamResult? {
    do throws(SystemError) {
      guard let first = try SystemCall.peek(descriptor) else { return .blocked(on: .readable) }
      hasBegun = true
      isClearText = UInt8(ascii: "A")...UInt8(ascii: "Z") ~= first || first == UInt8(ascii: "\r")
      return isClearText ? .clearText : nil
    } catch {
      return .failed
    }
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

  /// Who the peer has proven to be; nil without a certificate. Known once there is something to read.
  var peerCertificate: PeerCertificate? {
    guard let certificate = unsafe SSL_get0_peer_certificate(session),
      unsafe SSL_get_verify_result(session) == Int(X509_V_OK)
    else { return nil }
    return unsafe PeerCertificate(certificate)
  }

  var isShakingHands: Bool { unsafe SSL_is_init_finished(session) == 0 }

  /// Whether another context would have let in this peer, now. To be asked once the handshake is over.
  func isAdmitted(by other: TLSContext) -> Bool {
    if let context, other.admitsAll(of: context) { return true }
    guard let certificate = unsafe SSL_get0_peer_certificate(session) else {
      if case .required = other.clients { return false }
      return true
    }
    if case .anonymous = other.clients { return false }
    guard let check = unsafe X509_STORE_CTX_new() else { return false }
    defer {
      unsafe X509_STORE_CTX_free(check)
      ERR_clear_error()
    }
    let store = unsafe SSL_CTX_get_cert_store(other.context)
    guard unsafe X509_STORE_CTX_init(check, store, certificate, SSL_get_peer_cert_chain(session)) == 1,
      unsafe X509_STORE_CTX_set_default(check, "ssl_client") == 1
    else { return false }
    return unsafe X509_verify_cert(check) == 1
  }

  /// Bytes wait here where epoll cannot see them; perhaps too few of them to be read.
  var hasBuffered: Bool { unsafe SSL_has_pending(session) == 1 }

  /// Tells the peer that no more will come.
  func endOutput() {
    ERR_clear_error()
    _ = unsafe SSL_shutdown(session)
  }

  private func result(_ call: () -> Int32) -> StreamResult {
    // An old error in the queue would pass for this call's. The queue is usually empty, and to peek is cheaper than to
    // clear it.
    if ERR_peek_error() != 0 { ERR_clear_error() }
    let count = call()
    if count > 0 {
      isEstablished = true
      return .bytes(Int(count))
    }
    if !isEstablished { isEstablished = unsafe SSL_is_init_finished(session) == 1 }
    switch unsafe SSL_get_error(session, count) {
    case SSL_ERROR_WANT_READ: return .blocked(on: .readable)
    case SSL_ERROR_WANT_WRITE: return .blocked(on: .writable)
    case SSL_ERROR_ZERO_RETURN: return .ended
    default:
      failure = ERR_peek_last_error()
      ERR_clear_error()
      return .failed
    }
  }

  /// What has ended a handshake that has begun and did not succeed; nil where it did, or no byte of it came.
  var handshakeFailure: TLSHandshakeFailure? {
    guard hasBegun, !isEstablished, !isClearText else { return nil }
    return TLSHandshakeFailure(failure, verdict: unsafe SSL_get_verify_result(session))
  }

  /// Why a handshake or what followed failed, in OpenSSL's words; nil when it was not TLS that failed.
  var failureReason: String? {
    let verdict = unsafe SSL_get_verify_result(session)
    if verdict != Int(X509_V_OK) {
      return unsafe "the peer's certificate: " + String(cString: X509_verify_cert_error_string(verdict))
    }
    return unsafe ERR_reason_error_string(failure).map { unsafe String(cString: $0) }
  }
}
