import CCurl

/// The transfers in flight and curl's handle on them. Confined to the queue of its `HTTPClient`, but for `wakeUp`.
@safe final class Transfers: @unchecked Sendable {
  // Unchecked because the compiler cannot see the confinement: all of it is touched on one serial queue, and
  // curl_multi_wakeup alone may be called from any thread.
  private let multi: UnsafeMutableRawPointer
  private let options: HTTPClient.Options
  private var active: [UnsafeMutableRawPointer: Transfer] = unsafe [:]

  /// curl_global_init may run once only, and a global is initialised once.
  private static let isInitialised = WipedMemory.initialiseCurl()
  private static let maxConnections = 64
  /// To one server that speaks HTTP/2, where each connection takes some hundred requests at once. It is also the limit
  /// until a first answer shows what servers speak.
  private static let maxMultiplexed = 4

  init(_ options: HTTPClient.Options) throws(HTTPClient.Failure) {
    guard Self.isInitialised, let multi = unsafe curl_multi_init() else {
      throw HTTPClient.Failure(kind: .exchange, message: "libcurl cannot be initialised")
    }
    unsafe self.multi = multi
    self.options = options
    _ = unsafe ccurl_multi_set_long(multi, CURLMOPT_PIPELINING, Int(CURLPIPE_MULTIPLEX))
    _ = unsafe ccurl_multi_set_long(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, Self.maxConnections)
    // All of them are kept: by default curl would close most as soon as a burst is over.
    _ = unsafe ccurl_multi_set_long(multi, CURLMOPT_MAXCONNECTS, Self.maxConnections)
    limitConnections(to: Self.maxMultiplexed)
  }

  deinit {
    // Nothing is in flight: the block that drives transfers holds their client until they are done.
    unsafe curl_multi_cleanup(multi)
  }

  /// Sets how many connections there may be to one server.
  private func limitConnections(to count: Int) {
    _ = unsafe ccurl_multi_set_long(multi, CURLMOPT_MAX_HOST_CONNECTIONS, count)
  }

  var isEmpty: Bool { unsafe active.isEmpty }

  /// Makes `wait` return. May be called from any thread.
  func wakeUp() { _ = unsafe curl_multi_wakeup(multi) }

  /// Waits until curl has something to do, or for a second.
  func wait() { _ = unsafe curl_multi_poll(multi, nil, 0, 1000, nil) }

  func start(_ submission: HTTPClient.Submission) {
    guard let transfer = Transfer(submission, options), unsafe curl_multi_add_handle(multi, transfer.easy) == CURLM_OK
    else {
      let failure = HTTPClient.Failure(kind: .exchange, message: "libcurl cannot start a request")
      return submission.continuation.resume(returning: .failure(failure))
    }
    unsafe active[transfer.easy] = transfer
  }

  /// Moves every transfer on as far as it goes, and ends those that are done.
  func advance() {
    var running: Int32 = 0
    guard unsafe curl_multi_perform(multi, &running) == CURLM_OK else { return abandon() }
    var left: Int32 = 0
    while let message = unsafe curl_multi_info_read(multi, &left) {
      guard unsafe message.pointee.msg == CURLMSG_DONE, let easy = unsafe message.pointee.easy_handle else { continue }
      // Read before the handle is removed: the message goes with it.
      let code = unsafe message.pointee.data.result
      unsafe adaptToVersion(of: easy)
      _ = unsafe curl_multi_remove_handle(multi, easy)
      // The transfer is let go of, and the secrets that it was sent with, before anybody is told of its end.
      let ended = unsafe active.removeValue(forKey: easy).map { ($0.submission.continuation, $0.result(code)) }
      if let (continuation, result) = ended { continuation.resume(returning: result) }
    }
  }

  /// HTTP/1 answers one request at a time on a connection, and so needs more of them.
  private func adaptToVersion(of easy: UnsafeMutableRawPointer) {
    var version = 0
    guard unsafe ccurl_get_long(easy, CURLINFO_HTTP_VERSION, &version) == CURLE_OK, version > 0 else { return }
    limitConnections(to: version < Int(CURL_HTTP_VERSION_2_0) ? Self.maxConnections : Self.maxMultiplexed)
  }

  /// Ends every transfer, after an error of which curl does not recover: whoever waits is answered.
  private func abandon() {
    for unsafe(_, transfer) in unsafe active {
      _ = unsafe curl_multi_remove_handle(multi, transfer.easy)
      transfer.submission.continuation.resume(returning: transfer.result(CURLE_FAILED_INIT))
    }
    unsafe active = [:]
  }
}
