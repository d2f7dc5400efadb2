import Basics
import BrokerCore
import DequeModule
import IO

/// One connection to the server, from the attempt to its end, on its loop. Commands are sent as they come, and the
/// server answers in order.
///
/// When an answer is late the connection ends, whatever else is under way on it: an answer that came after that could
/// not be told from the answer to something else.
final class RedisConnection: EventHandler {
  /// Whoever made a connection is told what becomes of it.
  protocol Owner: AnyObject {
    func opened(_ connection: RedisConnection)
    /// A change was published on the channel.
    func published(_ payload: [UInt8])
    /// A node of a cluster answers that the request is for another node, or not for now.
    func redirected(_ request: RedisRequest, _ error: String)
    /// The connection has ended, for this reason; called once.
    func closed(_ connection: RedisConnection, _ reason: StoreError)
  }

  /// What was sent and is not answered yet.
  private enum Unanswered {
    case step(RedisHandshake.Step)
    case ping
    case preface
    case request(RedisRequest)
  }

  /// What makes a node of a cluster take the request that follows.
  enum Preface: String {
    /// It has the slot only in part, as yet.
    case asking = "ASKING"
    /// It is a replica.
    case readOnly = "READONLY"
  }

  private let loop: EventLoop
  private let stream: Stream
  private unowned let owner: any Owner
  private let settings: RedisSettings
  private let handshake: RedisHandshake
  /// What the server said of its slots, where the handshake asks for that.
  private(set) var slots: RedisReply?
  private var reader: RedisReader
  private var registration: EventLoop.Registration?
  private var unanswered: Deque<(command: Unanswered, deadline: Instant)> = []
  private var unsent = ByteBuffer()
  private var isConnected = false
  private var isOpen = false
  private var lastHeard: Instant
  private let connectDeadline: Instant
  private var interest = Readiness.writable
  /// What reading and writing wait for: with TLS, either may have to wait for the other.
  private var readWaitsFor = Readiness.readable
  private var writeWaitsFor = Readiness.writable

  private static let readSize = 16 << 10
  private static let mostUnanswered = 50_000
  /// How long a connection may be silent before PING asks whether the server is still there.
  private static let longestSilence = Duration.seconds(3)

  /// Begins to connect.
  init(
    to address: SocketAddress, tls: TLSClientContext?, _ settings: RedisSettings, _ handshake: RedisHandshake,
    on loop: EventLoop, for owner: any Owner
  ) throws(StoreError) {
    self.loop = loop
    self.owner = owner
    self.settings = settings
    self.handshake = handshake
    lastHeard = loop.now
    connectDeadline = loop.now.advanced(by: settings.connectTimeout)
    guard let reader = RedisReader() else { throw StoreError("out of memory") }
    self.reader = reader
    do {
      stream = try Stream(.connecting(to: address), tls: tls, to: settings.host)
      registration = try loop.add(stream.number, for: interest, self)
    } catch {
      throw StoreError("\(error)")
    }
    updateInterest()
  }

  // MARK: Events

  func ready(_ readiness: Readiness) {
    if !isConnected {
      if let error = stream.connectError { return close(StoreError("\(error)")) }
      isConnected = true
      for step in handshake.first { send(step, deadline: connectDeadline) }
      flush()
    } else if !unsent.isEmpty && !readiness.isDisjoint(with: writeWaitsFor) {
      flush()
    }
    if !readiness.isDisjoint(with: readWaitsFor) { read() }
    // Not before reading: a reset may hide behind the reason for it.
    if !readiness.isDisjoint(with: .broken) && !readiness.contains(.readable) { close(.broken) }
    updateInterest()
  }

  func deadlinePassed() {
    if !isOpen && loop.now >= connectDeadline {
      let what = isConnected ? "does not answer" : "cannot be reached"
      close(StoreError("the server \(what) within \(settings.connectTimeout)"))
    } else if let oldest = unanswered.first {
      if loop.now >= oldest.deadline { close(StoreError("no answer within \(settings.timeout)")) }
    } else if loop.now >= lastHeard.advanced(by: Self.longestSilence) {
      unanswered.append((.ping, loop.now.advanced(by: settings.timeout)))
      unsent.append(RedisCommand("PING").formatted)
      flush()
    }
    updateInterest()
  }

  // MARK: Sending

  private func send(_ step: RedisHandshake.Step, deadline: Instant) {
    handshake.append(step, to: &unsent)
    unanswered.append((.step(step), deadline))
  }

  /// Adds to what is sent by `sendNow`.
  func add(_ request: RedisRequest, behind preface: Preface? = nil) {
    if loop.now >= request.deadline { return request.answer(.failure(.late)) }
    if unanswered.count >= Self.mostUnanswered {
      return request.answer(.failure(StoreError("too much is asked at once")))
    }
    // Not the request's deadline: one that comes from another node may have little time left, which is not this
    // server's fault. Whoever waits for that one is answered in time.
    let deadline = loop.now.advanced(by: settings.timeout)
    if request.deadline.duration(to: deadline) > settings.timeout / 8 { request.expire(after: loop.now) }
    if let preface {
      unanswered.append((.preface, deadline))
      unsent.append(RedisCommand(preface.rawValue).formatted)
    }
    unanswered.append((.request(request), deadline))
    unsent.append(request.bytes)
  }

  func sendNow() {
    if unsent.isEmpty { return }
    flush()
    updateInterest()
  }

  var isIdle: Bool { unanswered.isEmpty }

  private func flush() {
    while registration != nil && !unsent.isEmpty {
      switch unsent.withBytes({ span in unsafe span.withUnsafeBytes { unsafe stream.send($0) } }) {
      case .bytes(let count):
        if !isOpen { wipe(count) }
        unsent.consume(count)
      case .blocked(let readiness): return writeWaitsFor = readiness
      case .ended, .failed, .clearText:
        let failure = failure
        unsent.removeAll()
        // A server that hangs up may have said why.
        if stream.tlsFailure == nil { read() }
        close(failure)
      }
    }
  }

  /// Overwrites what has been sent, which may hold the password.
  private func wipe(_ count: Int) {
    unsent.withMutableBytes { bytes in
      for index in 0..<count { bytes[index] = 0 }
    }
  }

  // MARK: Receiving

  private func read() {
    repeat {
      var result = StreamResult.ended
      do throws(StoreError) {
        try unsafe withUnsafeTemporaryAllocation(byteCount: Self.readSize, alignment: 16) { room throws(StoreError) in
          unsafe result = stream.receive(into: room)
          guard case .bytes(let count) = result else { return }
          try unsafe reader.feed(UnsafeRawBufferPointer(rebasing: room[..<count]))
          while registration != nil, let reply = try reader.next() { try receive(reply) }
        }
      } catch {
        return close(error)
      }
      switch result {
      case .bytes: lastHeard = loop.now
      case .blocked(let readiness): return readWaitsFor = readiness
      case .ended: close(StoreError("the server has closed the connection"))
      case .failed, .clearText: close(failure)
      }
    } while registration != nil && stream.hasBuffered
  }

  private var failure: StoreError { stream.tlsFailure.map { StoreError("TLS: \($0)") } ?? .broken }

  private func receive(_ reply: RedisReply) throws(StoreError) {
    if isOpen, handshake.isSubscription, let payload = reply.message { return owner.published(payload) }
    guard let command = unanswered.first?.command else { throw .unexpected }
    switch command {
    case .step(let step):
      try handshake.check(reply, to: step)
      unanswered.removeFirst()
      if step == .slots { slots = reply }
      if step == handshake.last {
        isOpen = true
        owner.opened(self)
      } else if unanswered.isEmpty {
        // A server that cannot answer the last step as fast as a command has to be answered is of no use.
        send(handshake.last, deadline: loop.now.advanced(by: settings.timeout))
        flush()
      }
    case .ping:
      try handshake.check(reply, to: .ping)
      unanswered.removeFirst()
    case .preface:
      // Where it is refused, so is what follows.
      unanswered.removeFirst()
    case .request(let request):
      guard reply.isAnswer(of: request.kind) else { throw .unexpected }
      unanswered.removeFirst()
      if case .error(let text) = reply, RedisRedirection.isOne(text) {
        owner.redirected(request, text)
      } else {
        request.answer(.success(reply))
      }
      // A new connection begins with the password as it is now.
      if case .error(let text) = reply, RedisRefusal(text).isOfLogin { throw RedisRefusal(text).error(of: "a command") }
    }
  }

  // MARK: State

  /// Tells the loop what to watch for and until when; called after anything has happened.
  private func updateInterest() {
    guard let registration else { return }
    var wanted = isConnected ? readWaitsFor : .writable
    if isConnected && !unsent.isEmpty { wanted.formUnion(writeWaitsFor) }
    if wanted != interest {
      interest = wanted
      guard (try? loop.modify(registration, for: wanted)) != nil else { return close(.broken) }
    }
    let deadline = unanswered.first?.deadline ?? lastHeard.advanced(by: Self.longestSilence)
    loop.setDeadline(isOpen ? deadline : min(deadline, connectDeadline), for: registration)
  }

  func close(_ reason: StoreError) {
    guard let registration else { return }
    self.registration = nil
    loop.remove(registration)
    let unanswered = unanswered
    self.unanswered = []
    // First, so that whoever is answered finds the server gone.
    owner.closed(self, reason)
    for case (.request(let request), _) in unanswered { request.answer(.failure(reason)) }
  }
}

extension StoreError {
  fileprivate static let broken = StoreError("the connection broke")
  static let closed = StoreError("the store is closed")
  static let unexpected = StoreError("the server's answer is none to what it was asked")
  static let late = StoreError("this process was too busy to ask in time")
}

extension RedisReply {
  /// What was published, where this reply is the notice of that; else nil.
  fileprivate var message: [UInt8]? {
    guard case .array(let parts) = self, parts.count == 3, parts[0] == .string(Array("message".utf8)),
      case .string(let payload) = parts[2]
    else { return nil }
    return payload
  }
}
