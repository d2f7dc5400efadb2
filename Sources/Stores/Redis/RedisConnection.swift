import Basics
import DequeModule
import Glibc
import IO
import BrokerCore

/// One connection, from the attempt to its end, on its loop. Commands are sent as they come, and the server answers in order.
///
/// When an answer is late the connection ends, whatever else is under way on it: what comes after that could not be told
/// from the answer to something else.
final class RedisConnection: EventHandler {
  /// What becomes of a connection.
  protocol Owner: AnyObject {
    func opened(_ connection: RedisConnection)
    /// A change was published.
    func heard(_ payload: [UInt8])
    /// Called once, with the reason.
    func closed(_ connection: RedisConnection, _ reason: StoreError)
  }

  /// What the server owes an answer to.
  private enum Debt {
    case step(RedisGreeting.Step)
    case ping
    case request(RedisRequest, [RedisReply])
  }

  private let loop: EventLoop
  private let stream: Stream
  private unowned let owner: any Owner
  private let settings: RedisSettings
  private let greeting: RedisGreeting
  private var reader: RedisReader
  private var registration: EventLoop.Registration?
  private var debts: Deque<(debt: Debt, deadline: Instant)> = []
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
  private static let mostDebts = 10_000
  /// A connection that is silent for so long is asked whether it is still there.
  private static let patience = Duration.seconds(3)

  /// Begins to connect.
  init(
    to address: SocketAddress, tls: TLSClientContext?, _ settings: RedisSettings, _ greeting: RedisGreeting,
    on loop: EventLoop, for owner: any Owner
  ) throws(StoreError) {
    self.loop = loop
    self.owner = owner
    self.settings = settings
    self.greeting = greeting
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
    settle()
  }

  // MARK: Events

  func ready(_ readiness: Readiness) {
    if !isConnected {
      if let error = stream.connectError { return close(StoreError("\(error)")) }
      isConnected = true
      greet()
    } else if !unsent.isEmpty && !readiness.isDisjoint(with: writeWaitsFor) {
      flush()
    }
    if !readiness.isDisjoint(with: readWaitsFor) { read() }
    // Not before reading: a reset may hide behind the reason for it.
    if !readiness.isDisjoint(with: .broken) && !readiness.contains(.readable) { close(.broken) }
    settle()
  }

  func deadlinePassed() {
    if !isOpen && loop.now >= connectDeadline {
      let what = isConnected ? "does not answer" : "cannot be reached"
      close(StoreError("the server \(what) within \(settings.connectTimeout)"))
    } else if let debt = debts.first {
      if loop.now >= debt.deadline { close(StoreError("no answer within \(settings.timeout)")) }
    } else if loop.now >= lastHeard.advanced(by: Self.patience) {
      debts.append((.ping, loop.now.advanced(by: settings.timeout)))
      unsent.append(RedisCommand("PING").formatted)
      flush()
    }
    settle()
  }

  // MARK: Sending

  private func greet() {
    for step in greeting.first { ask(step, until: connectDeadline) }
    flush()
  }

  /// Who cannot answer this as fast as a command has to be answered is of no use.
  private func greetLast() {
    ask(greeting.last, until: loop.now.advanced(by: settings.timeout))
    flush()
  }

  private func ask(_ step: RedisGreeting.Step, until deadline: Instant) {
    greeting.append(step, to: &unsent)
    debts.append((.step(step), deadline))
  }

  func send(_ request: RedisRequest) {
    if loop.now >= request.deadline { return request.answer(.failure(.late)) }
    if debts.count >= Self.mostDebts { return request.answer(.failure(StoreError("too much is asked at once"))) }
    debts.append((.request(request, []), request.deadline))
    unsent.append(request.bytes)
    flush()
    settle()
  }

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
        // Who hangs up may have said why.
        if stream.tlsFailure == nil { read() }
        close(failure)
      }
    }
  }

  /// What has been sent may hold the password.
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
          if case .bytes(let count) = result { try unsafe take(UnsafeRawBufferPointer(rebasing: room[..<count])) }
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

  private var failure: StoreError {
    stream.tlsFailure.map { StoreError("TLS: \($0)") } ?? .broken
  }

  private func take(_ bytes: UnsafeRawBufferPointer) throws(StoreError) {
    try unsafe reader.feed(bytes)
    while registration != nil, let reply = try reader.next() { try take(reply) }
  }

  private func take(_ reply: RedisReply) throws(StoreError) {
    if isOpen, greeting.last == .subscribe, let payload = reply.message { return owner.heard(payload) }
    guard let debt = debts.first?.debt else { throw .unexpected }
    switch debt {
    case .step(let step):
      try greeting.check(reply, to: step)
      debts.removeFirst()
      if step == greeting.last {
        isOpen = true
        owner.opened(self)
      } else if debts.isEmpty {
        greetLast()
      }
    case .ping:
      try greeting.check(reply, to: .ping)
      debts.removeFirst()
    case .request(let request, var replies):
      guard reply.isAnswer(of: request.kinds[replies.count]) else { throw .unexpected }
      replies.append(reply)
      if replies.count < request.kinds.count {
        debts[0].debt = .request(request, replies)
      } else {
        debts.removeFirst()
        request.answer(.success(replies))
      }
    }
  }

  // MARK: State

  /// Brings the loop's view up to date after anything has happened.
  private func settle() {
    guard let registration else { return }
    var wanted = isConnected ? readWaitsFor : .writable
    if isConnected && !unsent.isEmpty { wanted.formUnion(writeWaitsFor) }
    if wanted != interest {
      interest = wanted
      guard (try? loop.modify(registration, for: wanted)) != nil else { return close(.broken) }
    }
    let deadline = debts.first?.deadline ?? lastHeard.advanced(by: Self.patience)
    loop.setDeadline(isOpen ? deadline : min(deadline, connectDeadline), for: registration)
  }

  func close(_ reason: StoreError) {
    guard let registration else { return }
    self.registration = nil
    loop.remove(registration)
    for case (.request(let request, _), _) in debts { request.answer(.failure(reason)) }
    debts = []
    owner.closed(self, reason)
  }
}

extension StoreError {
  fileprivate static let broken = StoreError("the connection broke")
  static let late = StoreError("this process was too busy to ask in time")
}

extension RedisReply {
  /// What was published, where that is what the server tells.
  fileprivate var message: [UInt8]? {
    guard case .array(let parts) = self, parts.count == 3, parts[0] == .string(Array("message".utf8)),
      case .string(let payload) = parts[2]
    else { return nil }
    return payload
  }
}
