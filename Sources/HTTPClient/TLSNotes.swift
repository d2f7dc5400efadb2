import COpenSSL

/// What a server's TLS has said on a connection of the client's certificate. libcurl's own words for it depend on when
/// the alert arrives: behind the handshake, by TLS 1.3, it may be told as any failure to send or receive.
///
/// OpenSSL keeps it with the connection's context, as long as that lives: libcurl shows the TLS of a connection only
/// while it stands. Confined to the queue of its `HTTPClient`.
final class TLSNotes {
  /// The server has asked for a certificate.
  private(set) var isAsked = false
  /// The last alert of the server (RFC 8446 §6).
  private(set) var alert: Int?

  /// Why the client's certificate will not do, `isShown` or not; nil if no alert says so.
  func refusal(isShown: Bool) -> String? {
    guard isAsked, let alert, let word = Self.words[alert] else { return nil }
    return isShown
      ? "the server refuses the client's certificate (\(word))"
      : "the server wants a certificate of the client, which has none (\(word))"
  }

  /// The alerts of a server that are about its client's certificate, if it has asked for one.
  private static let words = [
    40: "handshake failure", 42: "bad certificate", 43: "unsupported certificate", 44: "certificate revoked",
    45: "certificate expired", 46: "certificate unknown", 48: "unknown authority", 49: "access denied",
    116: "certificate required",
  ]

  // MARK: With OpenSSL

  private static let index = unsafe CRYPTO_get_ex_new_index(CRYPTO_EX_INDEX_SSL_CTX, 0, nil, nil, nil) {
    _, pointer, _, _, _, _ in
    if let pointer = unsafe pointer { unsafe Unmanaged<TLSNotes>.fromOpaque(pointer).release() }
  }

  /// Has OpenSSL keep notes on the connection that is made with this `SSL_CTX`.
  convenience init?(on context: UnsafeMutableRawPointer) {
    self.init()
    let context = OpaquePointer(context)
    let retained = unsafe Unmanaged.passRetained(self)
    guard unsafe SSL_CTX_set_ex_data(context, Self.index, retained.toOpaque()) == 1 else {
      unsafe retained.release()
      return nil
    }
    // Called when the server asks for a certificate, whether or not there is one.
    unsafe SSL_CTX_set_cert_cb(
      context,
      { session, _ in
        unsafe TLSNotes.of(session)?.isAsked = true
        return 1
      }, nil)
    unsafe SSL_CTX_set_info_callback(context) { session, event, value in
      // The level of an alert, and what it is, are a byte each (SSL_CTX_set_info_callback(3)).
      if event == SSL_CB_READ_ALERT { unsafe TLSNotes.of(session)?.alert = Int(value & 0xFF) }
    }
  }

  /// The notes on a connection, from its `SSL`.
  static func of(_ session: OpaquePointer?) -> TLSNotes? {
    guard let context = unsafe session.flatMap({ unsafe SSL_get_SSL_CTX($0) }),
      let pointer = unsafe SSL_CTX_get_ex_data(context, index)
    else { return nil }
    return unsafe Unmanaged<TLSNotes>.fromOpaque(pointer).takeUnretainedValue()
  }

  /// What the connection of this `SSL` has agreed on by ALPN (RFC 7301).
  static func version(of session: OpaquePointer) -> HTTPVersion {
    var name: UnsafePointer<UInt8>?
    var length: UInt32 = 0
    unsafe SSL_get0_alpn_selected(session, &name, &length)
    return length == 2 ? .http2 : .http1
  }
}
