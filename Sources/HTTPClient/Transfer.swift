import Basics
import CCurl

/// One request on its way through curl, and what has come of it so far.
@safe final class Transfer {
  let easy: UnsafeMutableRawPointer
  let submission: HTTPClient.Submission
  private let requestedAt = Instant.now
  private var headers: UnsafeMutablePointer<curl_slist>?
  /// The line `Authorization: …`, and its place at the head of the list. curl would copy it, and not wipe the copy.
  private var authorization: Secret?
  private let authorizationNode: UnsafeMutablePointer<curl_slist>
  private var fields: [(name: String, value: String)] = []
  private var headBytes = 0
  private var body: [UInt8] = []
  private var isTooLarge = false
  private var areOptionsSet = true
  /// Where curl writes what went wrong, in more words than its error code has.
  private let detail: UnsafeMutablePointer<CChar>

  /// nil if curl has no memory for it, or does not know one of the options: none of them is dispensable.
  init?(_ submission: HTTPClient.Submission, _ options: HTTPClient.Options) {
    guard let easy = unsafe curl_easy_init() else { return nil }
    unsafe self.easy = easy
    unsafe detail = .allocate(capacity: Int(CURL_ERROR_SIZE))
    unsafe detail.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
    unsafe authorizationNode = .allocate(capacity: 1)
    unsafe authorizationNode.initialize(to: curl_slist())
    self.submission = submission
    let request = submission.request
    set(CURLOPT_URL, request.url)
    set(CURLOPT_PROTOCOLS_STR, "https,http")
    set(CURLOPT_FOLLOWLOCATION, 0)
    // Signals are the process's affair. It must ignore SIGPIPE: OpenSSL writes to peers that may have gone.
    set(CURLOPT_NOSIGNAL, 1)
    set(CURLOPT_TIMEOUT_MS, Self.milliseconds(request.timeout))
    set(CURLOPT_CONNECTTIMEOUT_MS, Self.milliseconds(options.connectTimeout))
    // By itself TCP takes a quarter of an hour to give up a peer that is gone without a word, and meanwhile HTTP/2
    // would send one request after the other to it.
    note(unsafe ccurl_set_silence(easy, Self.milliseconds(request.timeout)))
    set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1)
    set(CURLOPT_USERAGENT, options.userAgent)
    if let proxy = options.proxy { set(CURLOPT_PROXY, proxy) }
    // A proxy is for the way out, never for this machine itself.
    if URLParts(request.url)?.isLoopback == true { set(CURLOPT_NOPROXY, "*") }
    setTLS(options.trust, request.identity ?? options.identity)
    setHeaders(request)
    setBody(request.body)
    setCallbacks()
    if request.probe != nil { setProbe() }
    unsafe set(CURLOPT_ERRORBUFFER, pointer: detail)
    guard areOptionsSet else { return nil }
  }

  deinit {
    unsafe curl_easy_cleanup(easy)
    unsafe detail.deallocate()
    unsafe curl_slist_free_all(headers)
    unsafe authorizationNode.deallocate()
  }

  // MARK: Setting up

  private func set(_ option: CURLoption, _ value: Int) { note(unsafe ccurl_set_long(easy, option, value)) }
  private func set(_ option: CURLoption, _ value: String) { note(unsafe ccurl_set_string(easy, option, value)) }
  private func set(_ option: CURLoption, pointer: UnsafeRawPointer?) {
    note(unsafe ccurl_set_pointer(easy, option, pointer))
  }
  private func note(_ code: CURLcode) { areOptionsSet = areOptionsSet && code == CURLE_OK }

  /// At least one, because curl takes zero for no limit.
  private static func milliseconds(_ duration: Duration) -> Int { max(1, Int(duration.milliseconds)) }

  private func setTLS(_ trust: HTTPClient.Trust, _ identity: HTTPClient.Identity?) {
    set(CURLOPT_SSL_VERIFYPEER, 1)
    set(CURLOPT_SSL_VERIFYHOST, 2)
    set(CURLOPT_SSLVERSION, Int(CURL_SSLVERSION_TLSv1_2))
    // HTTP/2 is agreed on inside TLS. A request would rather wait for a connection's handshake than open one more.
    set(CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_2TLS))
    set(CURLOPT_PIPEWAIT, 1)
    switch trust {
    case .system: break
    case .file(let path):
      set(CURLOPT_CAINFO, path)
      forgetSystemAuthorities()
    case .pem(let text):
      forgetSystemAuthorities()
      let bytes = Array(text.utf8)
      note(unsafe ccurl_set_blob(easy, CURLOPT_CAINFO_BLOB, bytes, bytes.count))
    }
    if let identity {
      set(CURLOPT_SSLCERT, identity.certificateFile)
      set(CURLOPT_SSLKEY, identity.keyFile)
    }
  }

  /// Without this, curl would believe the system's directory of authorities beside the ones that were given.
  private func forgetSystemAuthorities() { unsafe set(CURLOPT_CAPATH, pointer: nil) }

  private func setHeaders(_ request: HTTPClient.Request) {
    for (name, value) in request.headers { unsafe headers = curl_slist_append(headers, "\(name): \(value)") }
    // curl would ask a server to say 100 Continue first, for a body of more than 1 MiB.
    unsafe headers = curl_slist_append(headers, "Expect:")
    guard let value = request.authorization else { return unsafe set(CURLOPT_HTTPHEADER, pointer: headers) }
    let name = "Authorization: "
    let line = Secret(capacity: name.utf8.count + value.count + 1) { writer in
      writer.append(name.utf8)
      writer.append(value)
      writer.append(CollectionOfOne(0))
    }
    authorization = line
    // The line does not move, and this transfer keeps it for as long as curl may read it.
    line.withBytes { bytes in
      unsafe bytes.withUnsafeBytes { bytes in
        let start = unsafe bytes.baseAddress?.assumingMemoryBound(to: CChar.self)
        unsafe authorizationNode.pointee.data = unsafe UnsafeMutablePointer(mutating: start)
      }
    }
    unsafe authorizationNode.pointee.next = headers
    unsafe set(CURLOPT_HTTPHEADER, pointer: authorizationNode)
  }

  private func setBody(_ body: Secret?) {
    guard let body else { return }
    set(CURLOPT_POST, 1)
    set(CURLOPT_POSTFIELDSIZE, body.count)
    // Not copied by curl; the submission keeps the secret, which does not move, for as long as this transfer lives.
    body.withBytes { bytes in unsafe bytes.withUnsafeBytes { unsafe set(CURLOPT_POSTFIELDS, pointer: $0.baseAddress) } }
  }

  private func setCallbacks() {
    let context = unsafe Unmanaged.passUnretained(self).toOpaque()
    unsafe set(CURLOPT_WRITEDATA, pointer: context)
    unsafe set(CURLOPT_HEADERDATA, pointer: context)
    let write = unsafe ccurl_set_write(easy) { bytes, size, count, context in
      unsafe Transfer.receive(bytes, size * count, context) { unsafe $0.append(body: $1) }
    }
    let head = unsafe ccurl_set_header(easy) { bytes, size, count, context in
      unsafe Transfer.receive(bytes, size * count, context) { unsafe $0.append(headerLine: $1) }
    }
    note(write)
    note(head)
  }

  private func setProbe() {
    set(CURLOPT_CONNECT_ONLY, 1)
    set(CURLOPT_FRESH_CONNECT, 1)
    set(CURLOPT_CERTINFO, 1)
    unsafe set(CURLOPT_PREREQDATA, pointer: Unmanaged.passUnretained(self).toOpaque())
    let connected = unsafe ccurl_set_prereq(easy) { context, _, _, _, _ in
      if let context = unsafe context {
        let transfer = unsafe Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue()
        unsafe transfer.submission.request.probe?.connected(transfer.easy)
      }
      return CURL_PREREQFUNC_OK
    }
    note(connected)
  }

  // MARK: Receiving

  /// The common part of curl's two callbacks. Another count than was given makes curl end the transfer.
  private static func receive(
    _ bytes: UnsafeMutablePointer<CChar>?, _ count: Int, _ context: UnsafeMutableRawPointer?,
    _ append: (Transfer, UnsafeRawBufferPointer) -> Bool
  ) -> Int {
    guard let bytes = unsafe bytes, let context = unsafe context else { return 0 }
    let transfer = unsafe Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue()
    return unsafe append(transfer, UnsafeRawBufferPointer(start: bytes, count: count)) ? count : 0
  }

  private func append(body bytes: UnsafeRawBufferPointer) -> Bool {
    isTooLarge = isTooLarge || bytes.count > HTTPClient.bodyLimit - body.count
    if isTooLarge { return false }
    unsafe body.append(contentsOf: bytes)
    return true
  }

  private func append(headerLine bytes: UnsafeRawBufferPointer) -> Bool {
    headBytes += bytes.count
    isTooLarge = isTooLarge || headBytes > HTTPClient.headLimit
    if isTooLarge { return false }
    let line = unsafe String(decoding: bytes, as: UTF8.self)
    // A status line: what came before belonged to an interim answer.
    if line.hasPrefix("HTTP/") { fields.removeAll() }
    guard let colon = line.firstIndex(of: ":") else { return true }
    let value = line[line.index(after: colon)...].drop { $0.isWhitespace }
    let end = value.lastIndex { !$0.isWhitespace }.map { value.index(after: $0) } ?? value.startIndex
    fields.append((line[..<colon].lowercased(), String(value[..<end])))
    return true
  }

  // MARK: The end

  /// What has come of it, now that curl has ended it.
  func result(_ code: CURLcode) -> Result<HTTPClient.Response, HTTPClient.Failure> {
    let problem = code == CURLE_OK ? nil : failure(code)
    unsafe submission.request.probe?.finished(easy, code, problem)
    if let problem { return .failure(problem) }
    var status = 0
    _ = unsafe ccurl_get_long(easy, CURLINFO_RESPONSE_CODE, &status)
    return .success(
      HTTPClient.Response(status: status, fields: fields, body: body, requestedAt: requestedAt, receivedAt: .now))
  }

  private func failure(_ code: CURLcode) -> HTTPClient.Failure {
    if isTooLarge { return HTTPClient.Failure(kind: .tooLarge, message: "the answer is over the limit") }
    let kind: HTTPClient.Failure.Kind =
      switch code {
      case CURLE_OPERATION_TIMEDOUT: .timeout
      case CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY, CURLE_COULDNT_CONNECT: .connect
      case CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CONNECT_ERROR, CURLE_SSL_CACERT_BADFILE: .tls
      case CURLE_SSL_CERTPROBLEM, CURLE_SSL_CLIENTCERT: .identity
      default: .exchange
      }
    let words = unsafe detail.pointee == 0 ? curl_easy_strerror(code) : UnsafePointer(detail)
    return HTTPClient.Failure(
      kind: kind, message: PrintableText.text(unsafe words.map { unsafe String(cString: $0) } ?? ""))
  }
}
