import Basics
import CCurl

/// The transfers in flight and curl's handle on them. Confined to the queue of its `HTTPClient`, but for `wakeUp`.
@safe final class Transfers: @unchecked Sendable {
  // Unchecked because the compiler cannot see the confinement: all of it is touched on one serial queue, and
  // curl_multi_wakeup alone may be called from any thread.
  private let multi: UnsafeMutableRawPointer
  private let options: HTTPClient.Options
  private var active: [UnsafeMutableRawPointer: Transfer] = unsafe [:]
  private var queues = ServerQueues<HTTPClient.Submission>()
  /// Probes whose connections stand, each with the time until which its server may still have an alert to send.
  private var lingering: [(transfer: Transfer, until: Instant)] = []

  /// curl_global_init may run once only, and a global is initialised once.
  private static let isInitialised = WipedMemory.initialiseCurl()
  private static let maxConnections = 64
  /// To one server that speaks HTTP/2, where each connection takes some hundred requests at once: curl would open more
  /// while these are being made. No request waits for one in curl, unless a server takes fewer than usual.
  private static let maxMultiplexed = 4

  init(_ options: HTTPClient.Options) throws(HTTPClient.Failure) {
    guard Self.isInitialised, let multi = unsafe curl_multi_init() else {
      throw HTTPClient.Failure(kind: .exchange, message: "libcurl cannot be initialised")
    }
    unsafe self.multi = multi
    self.options = options
    _ = unsafe ccurl_multi_set_long(multi, CURLMOPT_PIPELINING, Int(CURLPIPE_MULTIPLEX))
    // All of them are kept: by default curl would close most as soon as a burst is over.
    _ = unsafe ccurl_multi_set_long(multi, CURLMOPT_MAXCONNECTS, Self.maxConnections)
  }

  deinit {
    // Nothing is in flight: the block that drives transfers holds their client until they are done.
    unsafe curl_multi_cleanup(multi)
  }

  var isEmpty: Bool { unsafe active.isEmpty && queues.isEmpty }

  /// Makes `wait` return. May be called from any thread.
  func wakeUp() { _ = unsafe curl_multi_wakeup(multi) }

  /// Waits until curl has something to do, or for a moment. libcurl 7.88 does not wake for what is next of a host's
  /// addresses, so while anything is connecting the moment is short.
  func wait() {
    let isCalm = unsafe queues.isEmpty && lingering.isEmpty && active.values.allSatisfy(\.isConnected)
    _ = unsafe curl_multi_poll(multi, nil, 0, isCalm ? 1000 : 50, nil)
  }

  private func start(_ submission: HTTPClient.Submission, _ server: String) {
    guard let transfer = Transfer(submission, options, to: server, speaking: queues.version(of: server)),
      unsafe curl_multi_add_handle(multi, transfer.easy) == CURLM_OK
    else {
      queues.finished(server)
      let failure = HTTPClient.Failure(kind: .exchange, message: "libcurl cannot start a request")
      return submission.continuation.resume(returning: .failure(failure))
    }
    unsafe active[transfer.easy] = transfer
  }

  /// Queues what is new, moves every transfer on as far as it goes, ends those that are done, and starts those that
  /// there is room for.
  func advance(_ new: [HTTPClient.Submission]) {
    for submission in new {
      let server = URLParts(submission.request.url)?.origin ?? ""
      queues.add(submission, to: server, deadline: submission.deadline)
    }
    startQueued()
    var running: Int32 = 0
    guard unsafe curl_multi_perform(multi, &running) == CURLM_OK else { return abandon() }
    var left: Int32 = 0
    while let message = unsafe curl_multi_info_read(multi, &left) {
      guard unsafe message.pointee.msg == CURLMSG_DONE, let easy = unsafe message.pointee.easy_handle else { continue }
      // Read before the handle is removed: the message goes with it.
      let code = unsafe message.pointee.data.result
      if let transfer = unsafe active[easy], code == CURLE_OK, transfer.mayBeRefusedYet {
        lingering.append((transfer, .now.advanced(by: Transfer.linger)))
      } else {
        unsafe end(easy, code)
      }
    }
    endLingering()
    learnVersions()
    startQueued()
  }

  private func startQueued() {
    for submission in queues.expire(now: .now) {
      let failure = HTTPClient.Failure(kind: .timeout, message: "the server had no room for the request in time")
      submission.continuation.resume(returning: .failure(failure))
    }
    for (submission, server) in queues.admit() { start(submission, server) }
    let most = queues.needsManyConnections ? Self.maxConnections : Self.maxMultiplexed
    _ = unsafe ccurl_multi_set_long(multi, CURLMOPT_MAX_HOST_CONNECTIONS, most)
  }

  /// Looks for a late alert, and ends those whose time is over.
  private func endLingering() {
    for (transfer, until) in lingering where transfer.hasAlert() || until <= .now {
      unsafe end(transfer.easy, CURLE_OK)
    }
    lingering.removeAll { unsafe active[$0.transfer.easy] == nil }
  }

  /// What the handshakes have agreed on.
  private func learnVersions() {
    for unsafe(_, transfer) in unsafe active {
      if let version = transfer.takeVersion() { queues.learn(version, of: transfer.server) }
    }
  }

  private func end(_ easy: UnsafeMutableRawPointer, _ code: CURLcode) {
    // The transfer is let go of, and the secrets that it was sent with, before anybody is told of its end.
    if let (continuation, result) = unsafe take(easy, code) { continuation.resume(returning: result) }
  }

  private func take(
    _ easy: UnsafeMutableRawPointer, _ code: CURLcode
  ) -> (HTTPClient.Submission.Continuation, Result<HTTPClient.Response, HTTPClient.Failure>)? {
    guard let transfer = unsafe active.removeValue(forKey: easy) else { return nil }
    if let version = transfer.takeVersion() { queues.learn(version, of: transfer.server) }
    queues.finished(transfer.server)
    // While the handle is curl's own: its connection can be asked.
    let result = transfer.result(code)
    _ = unsafe curl_multi_remove_handle(multi, easy)
    return (transfer.submission.continuation, result)
  }

  /// Ends every transfer, after an error of which curl does not recover: whoever waits is answered.
  private func abandon() {
    for transfer in unsafe Array(active.values) { unsafe end(transfer.easy, CURLE_FAILED_INIT) }
    lingering = []
  }
}
