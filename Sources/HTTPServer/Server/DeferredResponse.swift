import IO

/// An answer that is given later, from any thread. Answering a request whose caller has left does nothing.
package struct DeferredResponse: Sendable {
  package let requestID: String
  let mailbox: Mailbox<ServerLoop.Command>
  let destination: Destination
  /// Told what the answer is counted as, mostly its status, on the thread that gives it.
  let answered: @Sendable (Int) -> Void

  /// The connection that waits for an answer, and which of its requests.
  struct Destination {
    let connection: EventLoop.Registration
    let serial: UInt32
  }

  package func send(_ response: Response) {
    mailbox.post(.respond(destination, response))
    answered(response.countedAs ?? response.status)
  }
}
