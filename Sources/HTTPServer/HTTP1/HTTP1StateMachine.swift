import Basics

/// One HTTP/1 connection as a value: bytes and the time go in, what to do comes out. It does no I/O and keeps no bytes.
///
/// The caller holds the bytes not yet consumed and shows all of them at each step.
struct HTTP1StateMachine {
  enum Step: Equatable {
    /// More bytes are needed, or none are wanted now.
    case wait
    /// The first two bytes are an empty line, which means nothing.
    case skipLine
    /// The peer waits for `100 Continue` before it sends the body (RFC 9110 §10.1.1).
    case sendContinue
    /// A whole request: `RequestParser.head` describes it, and `consumed` bytes are its own.
    case request(consumed: Int)
    /// Answer so, then end the connection.
    case reject(Rejection)
  }

  private enum Phase {
    case idle
    case head(HeadScanner)
    case body(Body)
    case answering
    /// The last response has been given.
    case over
  }

  private struct Body {
    let headLength: Int
    var length = 0
    var chunked: ChunkedDecoder?
  }

  private var phase = Phase.idle
  private let limits: ConnectionLimits
  private var requests = 0
  /// Nothing has been asked yet: the time for the first header runs from the connection's start.
  private var isFresh = true
  /// Since the last request.
  private var hasSkippedLine = false
  /// When the connection has used up the time for what it is doing.
  private(set) var deadline: Instant

  init(limits: ConnectionLimits, now: Instant) {
    self.limits = limits
    deadline = now.advanced(byNanoseconds: limits.headTime)
  }

  /// The request at hand is the last that this connection may ask.
  var isLastRequest: Bool { requests >= limits.sizes.requestsPerConnection }

  /// A request is being answered.
  var isAnswering: Bool { if case .answering = phase { true } else { false } }

  /// Nothing of a request has arrived since the last response.
  var isIdle: Bool { if case .idle = phase { true } else { false } }

  /// True once the last response has been given.
  var isOver: Bool { if case .over = phase { true } else { false } }

  mutating func step(_ bytes: inout MutableSpan<UInt8>, parser: inout RequestParser, now: Instant) -> Step {
    do throws(Rejection) {
      var body: Body
      var (isBegun, awaitsContinue) = (false, false)
      switch phase {
      case .answering, .over: return .wait
      case .idle where bytes.isEmpty: return .wait
      case .body(let begun): (body, isBegun) = (begun, true)
      case .idle where skipsLine(bytes.span, now), .head where skipsLine(bytes.span, now): return .skipLine
      case .idle, .head:
        var scanner = HeadScanner()
        if case .head(let begun) = phase { scanner = begun }
        if isIdle && !isFresh { deadline = now.advanced(byNanoseconds: limits.headTime) }
        isFresh = false
        guard let end = try scanner.scan(bytes.span, limits: limits.sizes) else {
          phase = .head(scanner)
          return .wait
        }
        try parser.parse(bytes.span, end: end, limits: limits.sizes)
        switch parser.head.framing {
        case .length(let length) where length > limits.sizes.bodyBytes: throw .bodyTooLarge
        case .length(let length): body = Body(headLength: end, length: length)
        case .chunked: body = Body(headLength: end, chunked: ChunkedDecoder(start: end))
        }
        awaitsContinue = parser.head.expectsContinue && bytes.count == end
        deadline = now.advanced(byNanoseconds: limits.bodyTime)
      }
      var range = body.headLength..<body.headLength + body.length
      var consumed = range.upperBound
      var isWhole = bytes.count >= consumed
      if var decoder = body.chunked {
        isWhole = try decoder.decode(&bytes, limit: limits.sizes.bodyBytes)
        (body.chunked, range, consumed) = (decoder, decoder.body, decoder.position)
      }
      if !isWhole {
        phase = .body(body)
        return awaitsContinue ? .sendContinue : .wait
      }
      // Other connections of the loop may have used the parser since the header was read.
      if isBegun { try parser.parse(bytes.span, end: body.headLength, limits: limits.sizes) }
      parser.place(body: range)
      phase = .answering
      hasSkippedLine = false
      requests += 1
      deadline = now.advanced(byNanoseconds: limits.requestTime)
      return .request(consumed: consumed)
    } catch {
      return .reject(error)
    }
  }

  /// One empty line before a request is none of it (RFC 9112 §2.2): some clients send it behind a body.
  private mutating func skipsLine(_ bytes: Span<UInt8>, _ now: Instant) -> Bool {
    guard !hasSkippedLine, bytes.count >= 2, bytes[0] == Octet.carriageReturn, bytes[1] == Octet.lineFeed else {
      return false
    }
    hasSkippedLine = true
    phase = .idle
    if !isFresh { deadline = now.advanced(byNanoseconds: limits.idleTime) }
    return true
  }

  /// The response has been given to the connection; the next request may be read, or none.
  mutating func answered(keepAlive: Bool, now: Instant) {
    phase = keepAlive ? .idle : .over
    deadline = keepAlive ? now.advanced(byNanoseconds: limits.idleTime) : .distantFuture
  }

  /// The server is shutting down: a connection that has asked nothing may still do so, but soon.
  mutating func drain(now: Instant) { if isFresh { deadline = min(deadline, now.advanced(by: .milliseconds(500))) } }

  /// The peer has taken what it was slow to take. Nothing was read meanwhile, so a request half read has lost that
  /// time; it is given back, once.
  mutating func resumed(now: Instant) {
    switch phase {
    case .idle: deadline = now.advanced(byNanoseconds: limits.idleTime)
    case .head: deadline = now.advanced(byNanoseconds: limits.headTime)
    case .body: deadline = now.advanced(byNanoseconds: limits.bodyTime)
    case .answering, .over: break
    }
  }

  /// What to answer when the deadline has passed; nil: close without a word.
  var timeoutRejection: Rejection? {
    switch phase {
    case .head, .body: .timeout
    case .answering: .noAnswer
    case .idle, .over: nil
    }
  }
}
