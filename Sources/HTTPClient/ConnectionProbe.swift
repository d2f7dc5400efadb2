import Basics
import CCurl
import COpenSSL
import Synchronization

/// Collects what curl knows of a connection, for a transfer that connects and asks nothing.
final class ConnectionProbe: Sendable {
  private let isProxied: Bool
  private let state = Mutex(ConnectionReport())

  /// `isProxied`: the way leads through a proxy, which curl does not say of an attempt that fails.
  init(isProxied: Bool) { self.isProxied = isProxied }

  var report: ConnectionReport { state.withLock(\.self) }

  /// The connection stands. Only now curl shows its TLS.
  func connected(tlsVersion: String) { state.withLock { $0.tlsVersion = tlsVersion } }

  /// The attempt is over. `hasBegunTLS`: it came as far as a handshake, be it with the proxy.
  func finished(
    _ easy: UnsafeMutableRawPointer, _ code: CURLcode, _ failure: HTTPClient.Failure?, hasBegunTLS: Bool
  ) {
    let curl = unsafe Information(easy: easy)
    state.withLock { report in
      let address = curl.text(CURLINFO_PRIMARY_IP)
      report.address = address.isEmpty ? nil : address
      report.port = curl.number(CURLINFO_PRIMARY_PORT)
      report.lookupTime = curl.time(CURLINFO_NAMELOOKUP_TIME_T)
      report.connectTime = curl.time(CURLINFO_CONNECT_TIME_T)
      report.handshakeTime = curl.time(CURLINFO_APPCONNECT_TIME_T)
      report.certificate = curl.certificate
      guard let failure else { return }
      report.failure = ConnectionReport.Failure(
        stage: failure.kind == .identity
          ? .handshake : Self.stage(code, report, curl, isProxied: isProxied, hasBegunTLS: hasBegunTLS),
        message: failure.message, cause: failure.kind == .identity ? .identity : Self.cause(code, report, curl))
    }
  }

  /// How far it came: by curl's code where that says it, else by what has begun. That there is no address says nothing:
  /// libcurl 8.12 to 8.19 do not tell that of a connection whose handshake has failed.
  private static func stage(
    _ code: CURLcode, _ report: ConnectionReport, _ curl: Information, isProxied: Bool, hasBegunTLS: Bool
  ) -> ConnectionReport.Stage {
    switch code {
    case CURLE_COULDNT_RESOLVE_HOST: return .lookup
    case CURLE_COULDNT_RESOLVE_PROXY: return .proxy
    default: break
    }
    // The proxy has said no, or nothing is known of what it has said.
    let answer = curl.number(CURLINFO_HTTP_CONNECTCODE)
    let isBehindProxy = !isProxied || (200..<300).contains(answer)
    if hasBegunTLS && isBehindProxy || isOfTLS(code) { return .handshake }
    if isProxied { return .proxy }
    return report.lookupTime == nil ? .lookup : .connect
  }

  private static func isOfTLS(_ code: CURLcode) -> Bool {
    [
      CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CONNECT_ERROR, CURLE_SSL_CACERT_BADFILE, CURLE_SSL_CERTPROBLEM,
      CURLE_SSL_CLIENTCERT,
    ].contains(code)
  }

  private static func cause(
    _ code: CURLcode, _ report: ConnectionReport, _ curl: Information
  ) -> ConnectionReport.Cause {
    switch code {
    case CURLE_SSL_CACERT_BADFILE: return .authoritiesFile
    case CURLE_SSL_CERTPROBLEM, CURLE_SSL_CLIENTCERT: return .identity
    case CURLE_SSL_CONNECT_ERROR: return .noTLS
    case CURLE_PEER_FAILED_VERIFICATION: break
    default: return .other
    }
    switch Int32(curl.number(CURLINFO_SSL_VERIFYRESULT)) {
    case X509_V_ERR_CERT_HAS_EXPIRED: return .expired
    case X509_V_ERR_CERT_NOT_YET_VALID: return .notYetValid
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN,
      X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
      X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
      return .unknownAuthority
    // curl compares the names itself, once all else is well.
    default: return report.certificate == nil ? .other : .wrongHost
    }
  }
}

/// What a finished transfer can be asked (curl_easy_getinfo(3)).
@safe private struct Information {
  let easy: UnsafeMutableRawPointer

  func number(_ name: CURLINFO) -> Int {
    var value = 0
    unsafe _ = ccurl_get_long(easy, name, &value)
    return value
  }

  func text(_ name: CURLINFO) -> String {
    var pointer: UnsafeMutableRawPointer?
    unsafe _ = ccurl_get_pointer(easy, name, &pointer)
    return unsafe pointer.map { unsafe String(cString: $0.assumingMemoryBound(to: CChar.self)) } ?? ""
  }

  /// nil: it never came to that.
  func time(_ name: CURLINFO) -> Duration? {
    var microseconds: curl_off_t = 0
    unsafe _ = ccurl_get_off_t(easy, name, &microseconds)
    return microseconds > 0 ? .microseconds(microseconds) : nil
  }

  /// The server's own, of those it has sent; nil if its chain was not believed.
  var certificate: ServerCertificate? {
    var pointer: UnsafeMutableRawPointer?
    unsafe _ = ccurl_get_pointer(easy, CURLINFO_CERTINFO, &pointer)
    guard let chain = unsafe pointer?.assumingMemoryBound(to: curl_certinfo.self).pointee, unsafe chain.num_of_certs > 0
    else { return nil }
    var certificate = ServerCertificate()
    var next = unsafe chain.certinfo[0]
    while let line = unsafe next?.pointee {
      unsafe next = line.next
      let parts = unsafe String(cString: line.data).split(separator: ":", maxSplits: 1)
      guard parts.count == 2 else { continue }
      let value = PrintableText.text(String(parts[1]))
      switch parts[0] {
      case "Subject": certificate.subject = value
      case "Issuer": certificate.issuer = value
      case "X509v3 Subject Alternative Name": certificate.names = value
      case "Expire date": certificate.expiresAt = HTTPDate.seconds(value).map { Double($0) }
      default: break
      }
    }
    return certificate
  }
}
