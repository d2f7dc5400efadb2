import IO

/// A request whose answer comes later, from any thread. Answering one whose caller has left does nothing.
package struct DeferredResponse: Sendable {
  /// What happens to a connection behind bytes sent verbatim.
  package enum Ending: Sendable {
    /// More will be sent.
    case more
    /// The next request may come.
    case keep
    case close
    case reset
  }

  package let requestID: String
  let mailbox: Mailbox<ServerLoop.Command>
  let connection: EventLoop.Registration
  let serial: UInt32

  package func send(_ response: Response) {
    mailbox.post(.respond(connection, serial, response))
  }

  package func send(_ problem: Problem) {
    send(problem.response(requestID: requestID))
  }

  /// Sends bytes as they are, for a server that must be able to answer wrongly. HTTP/2 has no place for them: there the
  /// client is told to ask by HTTP/1.1.
  package func send(verbatim bytes: [UInt8], then ending: Ending) {
    mailbox.post(.verbatim(connection, serial, bytes, ending))
  }
}
