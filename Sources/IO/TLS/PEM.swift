import COpenSSL

/// Where PEM text is: a certificate chain, a private key, the CAs of clients.
package enum PEM: Sendable {
  case text(String)
  case file(String)

  /// Each object that `read` finds. Throws `TLSError` where the file cannot be opened.
  func objects(_ what: String, _ read: (OpaquePointer) -> OpaquePointer?) throws(TLSError) -> [OpaquePointer] {
    let source: OpaquePointer?
    switch self {
    case .file(let path): unsafe source = BIO_new_file(path, "re")
    case .text(let text):
      let bytes = Array(text.utf8)
      unsafe source = BIO_new(BIO_s_mem())
      unsafe _ = BIO_write(source, bytes, Int32(clamping: bytes.count))
    }
    guard let source = unsafe source else { throw TLSError("reading \(what)\(place)") }
    defer { unsafe _ = BIO_free(source) }
    var found = unsafe [OpaquePointer]()
    while let next = unsafe read(source) { unsafe found.append(next) }
    if unsafe found.isEmpty { throw TLSError("reading \(what)\(place)") }
    ERR_clear_error()
    return unsafe found
  }

  private var place: String {
    if case .file(let path) = self { return " in \(path)" }
    return ""
  }
}
