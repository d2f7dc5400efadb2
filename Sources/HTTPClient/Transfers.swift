import Basics
import CCurl
import IO

/// The transfers in flight and curl's handle on them, with its connections, on the loop of the slow path.
@safe actor Transfers {
  /// The end of its lifetime: what comes later begins anew.
  nonisolated let until: Instant
  private let multi: UnsafeMutableRawPointer
  private let options: HTTPClient.Options
  private let leave: @Sendable (Transfers) -> Void
  private let sockets = TransferSockets()
  private let progress = TransferProgress()
  private var active: [UnsafeMutableRawPointer: Transfer] = unsafe [:]
  private var queues = ServerQueues<HTTPClient.Submission>()
  /// Probes whose connections stand, each with the time until which its server may still have an alert to send.
  private var lingering: [(transfer: Transfer, until: Instant)] = []
  private var lastServer: (url: String, server: RequestServer)?
  /// `advance` is called at the end of this turn of the loop.
  private var isToAdvance = false

  nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe TaskLoop.shared.asUnownedSerialExecutor() }

  /// curl_global_init may run once only, and a global is initialised once.
  private static let isInitialised = WipedMemory.initialiseCurl()
  private static let maxConnections = 64
  /// To one server that speaks HTTP/2, where each connection takes some hundred requests at once: curl would open more
  /// while these are being made. No request waits for one in curl, unless a server takes fewer than usual.
  private static let maxMultiplexed = 4
  /// libcurl 7.88 does not wake for what is next of a host's addresses, and what waits here has deadlines, too.
  private static let restlessInterval = Duration.milliseconds(50)
  /// Nor does it for what it sends again on a new connection.
  private static let calmInterval = Duration.seconds(1)
  /// curl may ask to be called again at once, but others have their turn in between.
  private static let callsPerTurn = 16

  /// `leave` is told when nothing is in flight and the connections are not to be used any more.
  init(_ options: HTTPClient.Options, leave: @escaping @Sendable (Transfers) -> Void) throws(HTTPClient.Failure) {
    try CurlLibrary.requireOpenSSL()
    guard Self.isInitialised, let multi = unsafe curl_multi_init() else {
      throw HTTPClient.Failure(kind: .exchange, message: "libcurl cannot be initialised")
    }
    unsafe self.multi = multi
    self.options = options
    self.leave = leave
    until = .now.advanced(by: options.lifetime)
    _ = unsafe ccurl_multi_set_long(multi, CURLMOPT_PIPELINING, Int(CURLPIPE_MULTIPLEX))
    // All of them are kept: by default curl would close most as soon as a burst is over.
    _ = unsafe ccurl_multi_set_long(multi, CURLMOPT_MAXCONNECTS, Self.maxConnections)
    unsafe sockets.serve(multi)
  }

  isolated deinit {
    // Nothing is in flight: whoever waits for a transfer holds this.
    unsafe curl_multi_cleanup(multi)
    sockets.stop()
  }

  /// Sends a request once there is room for it, and returns what has come of it, by the deadline.
  func send(
    _ request: HTTPClient.Request, by deadline: Instant
  ) async -> Result<HTTPClient.Response, HTTPClient.Failure> {
    let server = server(of: request.url)
    return await withCheckedContinuation { continuation in
      let submission = HTTPClient.Submission(
        request: request, server: server, deadline: deadline, continuation: continuation)
      queues.add(submission, to: server.name, deadline: deadline)
      advanceSoon()
    }
  }

  /// One request after the other goes to the same place.
  private func server(of url: String) -> RequestServer {
    if let lastServer, lastServer.url == url { return lastServer.server }
    let server = RequestServer(of: url)
    lastServer = (url, server)
    return server
  }

  private func start(_ submission: HTTPClient.Submission) {
    let server = submission.server.name
    guard let transfer = Transfer(submission, options, speaking: queues.version(of: server), telling: progress),
      unsafe sockets.follow(transfer.easy),
      unsafe curl_multi_add_handle(multi, transfer.easy) == CURLM_OK
    else {
      queues.finished(server)
      let failure = HTTPClient.Failure(kind: .exchange, message: "libcurl cannot start a request")
      return submission.continuation.resume(returning: .failure(failure))
    }
    unsafe active[transfer.easy] = transfer
  }

  /// Has `advance` called once what else this turn of the loop brings is known.
  func advanceSoon() {
    if isToAdvance { return }
    isToAdvance = true
    TaskLoop.shared.afterJobs { self.assumeIsolated { $0.advance() } }
  }

  /// Moves on all transfers, ends those that are done, and starts those that there is room for.
  ///
  /// All, because libcurl 7.88 loses the ends of streams that come with another's, where it is only told which socket
  /// is ready: with a GOAWAY, for one, requests that it disowns would stand until their timeouts.
  private func advance() {
    isToAdvance = false
    startQueued()
    var (calls, running): (Int, Int32) = (0, 0)
    repeat {
      if unsafe ccurl_multi_socket_all(multi, &running) != CURLM_OK { abandon() }
      endDone()
      startQueued()
      calls += 1
      // What was started is sent at once, and what else curl says cannot wait.
    } while calls < Self.callsPerTurn && sockets.takeIsDue()
    let isIdle = unsafe active.isEmpty && queues.isEmpty
    // By itself curl closes what has ended only when another request comes. So all of its connections are let go of:
    // they are few, and one tenant's, and a handshake costs little.
    if isIdle, until <= .now || sockets.haveEnded { leave(self) }
    let next = Instant.now.advanced(by: isCalm ? Self.calmInterval : Self.restlessInterval)
    sockets.settle(for: self, isIdle: isIdle, by: isIdle ? until : next)
  }

  /// Nothing is connecting, or waits here.
  private var isCalm: Bool {
    unsafe queues.isEmpty && lingering.isEmpty && progress.connected == active.count
  }

  private func endDone() {
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
    for (server, version) in progress.versions { queues.learn(version, of: server) }
    progress.versions.removeAll(keepingCapacity: true)
  }

  private func startQueued() {
    if queues.isEmpty { return }
    for submission in queues.expire(now: .now) {
      let failure = HTTPClient.Failure(kind: .timeout, message: "the server had no room for the request in time")
      submission.continuation.resume(returning: .failure(failure))
    }
    for (submission, _) in queues.admit() { start(submission) }
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

  private func end(_ easy: UnsafeMutableRawPointer, _ code: CURLcode) {
    // The transfer is let go of, and the secrets that it was sent with, before anybody is told of its end.
    if let (continuation, result) = unsafe take(easy, code) { continuation.resume(returning: result) }
  }

  private func take(
    _ easy: UnsafeMutableRawPointer, _ code: CURLcode
  ) -> (HTTPClient.Submission.Continuation, Result<HTTPClient.Response, HTTPClient.Failure>)? {
    guard let transfer = unsafe active.removeValue(forKey: easy) else { return nil }
    if transfer.isConnected { progress.connected -= 1 }
    if let version = progress.versions[transfer.server] { queues.learn(version, of: transfer.server) }
    queues.finished(transfer.server)
    // While the handle is curl's own: its connection can be asked.
    let result = transfer.result(code)
    sockets.keep(unsafe ccurl_kept_socket(easy))
    _ = unsafe curl_multi_remove_handle(multi, easy)
    return (transfer.submission.continuation, result)
  }

  /// Ends every transfer, after an error of which curl does not recover: whoever waits is answered.
  private func abandon() {
    for transfer in unsafe Array(active.values) { unsafe end(transfer.easy, CURLE_FAILED_INIT) }
    lingering = []
  }
}
