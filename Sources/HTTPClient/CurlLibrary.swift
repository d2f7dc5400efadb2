import CCurl
import COpenSSL
import IO

/// The libcurl that the process has loaded, which need not be the one that the broker was built with.
package enum CurlLibrary {
  /// What it is and what it uses in turn, such as `libcurl/7.88.1 OpenSSL/3.0.19 nghttp2/1.52.0`.
  package static var versions: String { "libcurl/\(loaded.version) \(loaded.tls) nghttp2/\(loaded.nghttp2)" }

  private static let loaded: (version: String, tls: String, nghttp2: String) = {
    // One that is built with several kinds of TLS has any of them until this, and none but this after its first use.
    _ = curl_global_sslset(CURLSSLBACKEND_OPENSSL, nil, nil)
    let info = unsafe ccurl_version_info().pointee
    func text(_ value: UnsafePointer<CChar>?) -> String { unsafe value.map { unsafe String(cString: $0) } ?? "none" }
    return unsafe (text(info.version), text(info.ssl_version), text(info.nghttp2_version))
  }()

  /// Whether there is a file with the system's authorities where it looks for one.
  static let hasAuthorities: Bool = {
    guard let path = unsafe ccurl_version_info().pointee.cainfo else { return false }
    return unsafe File.isReadable(String(cString: path))
  }()

  /// Throws unless its TLS is the OpenSSL that the broker itself calls, also on what libcurl has made. Debian has a
  /// libcurl with GnuTLS too, which takes none of a request's options.
  package static func requireOpenSSL() throws(HTTPClient.Failure) {
    let needed = unsafe String(cString: OpenSSL_version(OPENSSL_VERSION_STRING))
    if let problem = problem(with: loaded.tls, needed: needed) {
      throw HTTPClient.Failure(kind: .exchange, message: "libcurl \(loaded.version) \(problem)")
    }
  }

  /// `tls`: as libcurl tells it, with what it could use, and does not, in parentheses. `needed`: OpenSSL's version.
  static func problem(with tls: String, needed: String) -> String? {
    if tls.split(separator: " ").contains(where: { $0.hasSuffix("/\(needed)") }) { return nil }
    return "does TLS with \(tls), and the broker needs one that does it with OpenSSL/\(needed)"
  }
}
