import Basics
import CCurl
import COpenSSL

/// The server of a URL.
struct RequestServer {
  let name: ServerQueues<HTTPClient.Submission>.Name
  /// It is on this machine.
  let isLoopback: Bool

  init(of url: String) {
    let parts = URLParts(url)
    (name, isLoopback) = (parts?.origin ?? "", parts?.isLoopback ?? false)
  }
}

/// What transfers have come to know since they were looked at.
final class TransferProgress {
  /// How many of those in flight have their connection.
  var connected = 0
  /// What servers speak, as the handshakes have agreed.
  var versions: [ServerQueues<HTTPClient.Submission>.Name: HTTPVersion] = [:]
}

/// One request on its way through curl, and what has come of it so far.
@safe final class Transfer {
  let easy: UnsafeMutableRawPointer
  let submission: HTTPClient.Submission
  /// Whom it is for, as `ServerQueues` names it.
  var server: ServerQueues<HTTPClient.Submission>.Name { submission.server.name }
  private let isIdentityShown: Bool
  private let requestedAt = Instant.now
  private var headers: UnsafeMutablePointer<curl_slist>?
  private var addresses: UnsafeMutablePointer<curl_slist>?
  /// The line `Authorization: …`, and its place at the head of the list. curl would copy it, and not wipe the copy.
  private var authorization: Secret?
  private let authorizationNode: UnsafeMutablePointer<curl_slist>
  private var fields: [(name: String, value: String)] = []
  private var headBytes = 0
  private var body: [UInt8] = []
  private var isTooLarge = false
  private var areOptionsSet = true
  /// Its connection stands, so that a request is on its way, or may be.
  private(set) var isConnected = false
  /// What the connection's TLS has agreed on; nil without TLS.
  private var version: HTTPVersion?
  private let progress: TransferProgress
  private var isHTTP2Offered = false
  private var notes: TLSNotes?
  /// Bytes of the request's body that curl has been given.
  private var sent = 0
  /// Where curl writes what went wrong, in more words than its error code has.
  private let detail: UnsafeMutablePointer<CChar>

  /// nil if curl has no memory for it, or does not know one of the options: none of them is dispensable.
  /// `known` is what the server speaks, as far as that is known.
  init?(
    _ submission: HTTPClient.Submission, _ options: HTTPClient.Options, speaking known: HTTPVersion?,
    telling progress: TransferProgress
  ) {
    guard let easy = unsafe curl_easy_init() else { return nil }
    unsafe self.easy = easy
    unsafe detail = .allocate(capacity: Int(CURL_ERROR_SIZE))
    unsafe detail.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
    unsafe authorizationNode = .allocate(capacity: 1)
    unsafe authorizationNode.initialize(to: curl_slist())
    self.submission = submission
    self.progress = progress
    let request = submission.request
    let identity = request.identity ?? options.identity
    isIdentityShown = identity != nil
    // It may have waited for its turn.
    let timeout = Instant.now.duration(to: submission.deadline)
    set(CURLOPT_URL, request.url)
    set(CURLOPT_PROTOCOLS_STR, "https,http")
    set(CURLOPT_FOLLOWLOCATION, 0)
    // Signals are the process's affair. It must ignore SIGPIPE: OpenSSL writes to peers that may have gone.
    set(CURLOPT_NOSIGNAL, 1)
    // Else whoever gives up a name that is still being looked up waits for that, and with it all that share the loop.
    set(CURLOPT_QUICK_EXIT, 1)
    set(CURLOPT_TIMEOUT_MS, Self.milliseconds(timeout))
    set(CURLOPT_CONNECTTIMEOUT_MS, Self.milliseconds(options.connectTimeout))
    // By itself TCP takes a quarter of an hour to give up a peer that is gone without a word. Half of the time is left
    // to send the request again; but TCP heeds this while it connects, too.
    note(unsafe ccurl_set_silence(easy, Self.milliseconds(max(options.connectTimeout, request.timeout / 2))))
    // By default curl takes 80 kB for each transfer, and wipes them after it.
    set(CURLOPT_BUFFERSIZE, 4 << 10)
    set(CURLOPT_UPLOAD_BUFFERSIZE, 16 << 10)
    set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1)
    set(CURLOPT_USERAGENT, options.userAgent)
    if let proxy = options.proxy { set(CURLOPT_PROXY, proxy) }
    // A proxy is for the way out, never for this machine itself.
    if submission.server.isLoopback { set(CURLOPT_NOPROXY, "*") }
    for address in options.addresses { unsafe addresses = curl_slist_append(addresses, address) }
    unsafe set(CURLOPT_RESOLVE, pointer: addresses)
    if let socket = request.socket { set(CURLOPT_UNIX_SOCKET_PATH, socket) }
    setTLS(options.trust, identity)
    isHTTP2Offered = request.probe == nil && request.attempt < HTTPClient.Request.lastAttempt
    setVersion(request.attempt, known)
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
    unsafe curl_slist_free_all(addresses)
    unsafe authorizationNode.deallocate()
  }

  // MARK: Setting up

  private func set(_ option: CURLoption, _ value: Int) { note(unsafe ccurl_set_long(easy, option, value)) }
  private func set(_ option: CURLoption, _ value: String) { note(unsafe ccurl_set_string(easy, option, value)) }
  private func set(_ option: CURLoption, pointer: UnsafeRawPointer?) {
    note(unsafe ccurl_set_pointer(easy, option, pointer))
  }
  private func note(_ code: CURLcode) { areOptionsSet = areOptionsSet && code == CURLE_OK }

  /// Rounded up, because nobody is given up before the time, and at least one, because curl takes zero for no limit.
  private static func milliseconds(_ duration: Duration) -> Int {
    max(1, Int((duration + .nanoseconds(999_999)).milliseconds))
  }

  private func setTLS(_ trust: HTTPClient.Trust, _ identity: HTTPClient.Identity?) {
    set(CURLOPT_SSL_VERIFYPEER, 1)
    set(CURLOPT_SSL_VERIFYHOST, 2)
    set(CURLOPT_SSLVERSION, Int(CURL_SSLVERSION_TLSv1_2))
    switch trust {
    // The bundle has what the directory has, and only without this does curl keep what it has read of it for the next
    // connection.
    case .system: if CurlLibrary.hasAuthorities { forgetSystemAuthorities() }
    case .file(let path):
      set(CURLOPT_CAINFO, path)
      forgetSystemAuthorities()
    case .shown(let text):
      setAuthorities(text)
      set(CURLOPT_SSL_VERIFYHOST, 0)
    case .pem(let text): setAuthorities(text)
    }
    if let identity {
      set(CURLOPT_SSLCERT, identity.certificateFile)
      set(CURLOPT_SSLKEY, identity.keyFile)
    }
  }

  /// HTTP/2 is agreed on inside TLS. Where that may come, a request would rather wait for a connection's handshake than
  /// open one more. What is sent again takes no connection that was kept, unless many share one.
  private func setVersion(_ attempt: Int, _ known: HTTPVersion?) {
    // The last time by HTTP/1.1: some servers want that for a part of what they serve (RFC 9113 §7). A probe too: by
    // HTTP/2 curl would send a preface.
    set(CURLOPT_HTTP_VERSION, Int(isHTTP2Offered ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1))
    set(CURLOPT_PIPEWAIT, known == .http1 ? 0 : 1)
    if attempt > 0, !isHTTP2Offered || known != .http2 { set(CURLOPT_FRESH_CONNECT, 1) }
  }

  private func setAuthorities(_ text: String) {
    forgetSystemAuthorities()
    let bytes = Array(text.utf8)
    note(unsafe ccurl_set_blob(easy, CURLOPT_CAINFO_BLOB, bytes, bytes.count))
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
    // Not as CURLOPT_POSTFIELDS: those curl would send again by itself when a connection that was kept ends under them.
    // A server that has read them would take the same proof of who asks for a replay.
    unsafe set(CURLOPT_READDATA, pointer: Unmanaged.passUnretained(self).toOpaque())
    note(
      unsafe ccurl_set_read(easy) { room, size, count, context in
        guard let room = unsafe room, let context = unsafe context else { return 0 }
        let transfer = unsafe Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue()
        return unsafe transfer.give(UnsafeMutableRawBufferPointer(start: room, count: size * count))
      })
  }

  private func give(_ room: UnsafeMutableRawBufferPointer) -> Int {
    guard let body = submission.request.body else { return 0 }
    let count = min(room.count, body.count - sent)
    body.withBytes { bytes in
      for index in 0..<count { unsafe room[index] = bytes[sent + index] }
    }
    sent += count
    return count
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
    unsafe set(CURLOPT_PREREQDATA, pointer: context)
    note(
      unsafe ccurl_set_prereq(easy) { context, _, _, _, _ in
        guard let context = unsafe context else { return CURL_PREREQFUNC_ABORT }
        let transfer = unsafe Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue()
        return transfer.connected() ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT
      })
    unsafe set(CURLOPT_SSL_CTX_DATA, pointer: context)
    note(
      unsafe ccurl_set_tls(easy) { _, tls, context in
        guard let tls = unsafe tls, let context = unsafe context else { return CURLE_SSL_CONNECT_ERROR }
        let transfer = unsafe Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue()
        transfer.notes = unsafe TLSNotes(on: tls)
        return CURLE_OK
      })
  }

  private func setProbe() {
    set(CURLOPT_CONNECT_ONLY, 1)
    set(CURLOPT_FRESH_CONNECT, 1)
    set(CURLOPT_CERTINFO, 1)
  }

  // MARK: Connecting

  /// The connection stands, be it new or kept. False if the request has been sent before, which must not be repeated.
  private func connected() -> Bool {
    if sent > 0 { return false }
    if !isConnected { progress.connected += 1 }
    isConnected = true
    guard let session = unsafe tlsSession else { return true }
    notes = unsafe TLSNotes.of(session)
    if isHTTP2Offered {
      let version = unsafe TLSNotes.version(of: session)
      self.version = version
      progress.versions[server] = version
    }
    if let version = unsafe SSL_get_version(session) {
      submission.request.probe?.connected(tlsVersion: unsafe String(cString: version))
    }
    return true
  }

  /// OpenSSL's own handle on the connection, for as long as curl shows it.
  private var tlsSession: OpaquePointer? {
    var pointer: UnsafeMutableRawPointer?
    guard unsafe ccurl_get_pointer(easy, CURLINFO_TLS_SSL_PTR, &pointer) == CURLE_OK,
      let session = unsafe pointer?.assumingMemoryBound(to: curl_tlssessioninfo.self).pointee,
      unsafe session.backend == CURLSSLBACKEND_OPENSSL
    else { return nil }
    return unsafe session.internals.map { OpaquePointer($0) }
  }

  // MARK: Alerts that come late

  /// By TLS 1.3 a server refuses a client's certificate behind the handshake, when its client already has a connection.
  static let linger = Duration.milliseconds(500)

  /// Whether it has only connected, to a server that has asked for a certificate, which may still be refused.
  var mayBeRefusedYet: Bool { submission.request.probe != nil && notes?.isAsked == true && notes?.alert == nil }

  /// Looks at what the server has sent since.
  func hasAlert() -> Bool {
    var (byte, count) = (UInt8(0), 0)
    _ = unsafe curl_easy_recv(easy, &byte, 1, &count)
    return notes?.alert != nil
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
    // A status line: what came before belonged to an interim answer.
    if unsafe bytes.starts(with: "HTTP/".utf8) { fields.removeAll() }
    guard let colon = unsafe bytes.firstIndex(of: UInt8(ascii: ":")) else { return true }
    var value = unsafe bytes[(colon + 1)...]
    while let first = unsafe value.first, Self.isBlank(first) { unsafe value.removeFirst() }
    while let last = unsafe value.last, Self.isBlank(last) { unsafe value.removeLast() }
    let name = unsafe bytes[..<colon].map(Self.lowercased)
    fields.append((String(decoding: name, as: UTF8.self), unsafe String(decoding: value, as: UTF8.self)))
    return true
  }

  /// White space around a field's value, or the end of its line (RFC 9112 §5).
  private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }

  private static func lowercased(_ byte: UInt8) -> UInt8 { (0x41...0x5A).contains(byte) ? byte | 0x20 : byte }

  // MARK: The end

  /// What has come of it, now that curl has ended it.
  func result(_ code: CURLcode) -> Result<HTTPClient.Response, HTTPClient.Failure> {
    let problem = failure(code)
    unsafe submission.request.probe?.finished(easy, code, problem, hasBegunTLS: notes != nil)
    if let problem { return .failure(problem) }
    var status = 0
    _ = unsafe ccurl_get_long(easy, CURLINFO_RESPONSE_CODE, &status)
    return .success(
      HTTPClient.Response(status: status, fields: fields, body: body, requestedAt: requestedAt, receivedAt: .now))
  }

  private func failure(_ code: CURLcode) -> HTTPClient.Failure? {
    if isTooLarge { return HTTPClient.Failure(kind: .tooLarge, message: "the answer is over the limit") }
    if code != CURLE_OK || submission.request.probe != nil,
      let refusal = notes?.refusal(isShown: isIdentityShown)
    {
      return HTTPClient.Failure(kind: .identity, message: refusal)
    }
    if code == CURLE_OK { return nil }
    let kind: HTTPClient.Failure.Kind =
      switch code {
      case CURLE_OPERATION_TIMEDOUT: .timeout
      case CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY, CURLE_COULDNT_CONNECT: .connect
      case CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CONNECT_ERROR, CURLE_SSL_CACERT_BADFILE: .tls
      case CURLE_SSL_CERTPROBLEM, CURLE_SSL_CLIENTCERT: .identity
      default: isLost(code) ? .lost : .exchange
      }
    let words = unsafe detail.pointee == 0 ? curl_easy_strerror(code) : UnsafePointer(detail)
    var failure = HTTPClient.Failure(
      kind: kind, message: PrintableText.text(unsafe words.map { unsafe String(cString: $0) } ?? ""))
    failure.isIdentityInDoubt =
      kind == .exchange && isUnanswered && notes?.isAsked == true && !isConnectionKept
      && submission.request.probe == nil
    return failure
  }

  private var isUnanswered: Bool { headBytes == 0 && body.isEmpty }

  private var isConnectionKept: Bool {
    var connections = 0
    return unsafe ccurl_get_long(easy, CURLINFO_NUM_CONNECTS, &connections) == CURLE_OK && connections == 0
  }

  /// Whether the connection has ended under the request before a byte of an answer, as those that were kept do, and the
  /// request is worth sending again: by HTTP/1 once, on a new connection, by HTTP/2 at first on one that others share.
  private func isLost(_ code: CURLcode) -> Bool {
    let last = version == .http2 ? HTTPClient.Request.lastAttempt : 1
    guard isConnected, isUnanswered, submission.request.attempt < last else { return false }
    switch code {
    // curl would have sent it again, or a server of HTTP/2 has ended its connection without having read it.
    case CURLE_SEND_FAIL_REWIND, CURLE_ABORTED_BY_CALLBACK, CURLE_HTTP2: return true
    // libcurl 7.88 says CURLE_PARTIAL_FILE by HTTP/2.
    case CURLE_GOT_NOTHING, CURLE_SEND_ERROR, CURLE_RECV_ERROR, CURLE_PARTIAL_FILE: return isConnectionKept
    default: return false
    }
  }
}
