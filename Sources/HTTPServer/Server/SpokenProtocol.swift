import Basics

/// What is spoken on a connection, and how far it is. Each begins with HTTP/1 and may go over to HTTP/2, for good.
enum SpokenProtocol: ~Copyable {
  case http1(HTTP1StateMachine)
  case http2(HTTP2Session)

  var session: HTTP2Session? {
    switch self {
    case .http1: nil
    case .http2(let session): session
    }
  }

  /// A request waits for its answer.
  var isAnswering: Bool {
    switch self {
    case .http1(let machine): machine.isAnswering
    case .http2(let session): session.occupied > 0
    }
  }

  /// HTTP/1 takes one request at a time: what a peer sends ahead waits in its socket.
  var isBusy: Bool {
    switch self {
    case .http1(let machine): machine.isAnswering
    case .http2: false
    }
  }

  /// The request at hand is the last that the connection may ask. HTTP/2 says so in another way.
  var isLastRequest: Bool {
    switch self {
    case .http1(let machine): machine.isLastRequest
    case .http2: false
    }
  }

  /// Nothing of a request has arrived since the last response. HTTP/2 has an end of its own.
  var isIdle: Bool {
    switch self {
    case .http1(let machine): machine.isIdle
    case .http2: false
    }
  }

  /// When the peer, or the handler, has used up the time for what it is doing.
  var deadline: Instant {
    switch self {
    case .http1(let machine): machine.deadline
    case .http2(let session): session.deadline
    }
  }

  /// Lets HTTP/1 go on; nothing where HTTP/2 is spoken.
  mutating func withHTTP1<Result>(_ body: (inout HTTP1StateMachine) -> Result) -> Result? {
    switch consume self {
    case .http1(var machine):
      let result = body(&machine)
      self = .http1(machine)
      return result
    case .http2(let session):
      self = .http2(session)
      return nil
    }
  }
}
