import IO

/// Bytes sent as they are. Nobody needs them but the development tenant, which must be able to answer wrongly.
extension DeferredResponse {
  /// What happens to a connection behind bytes sent verbatim.
  package enum Ending: Sendable {
    /// More will be sent.
    case more
    /// The next request may come.
    case keep
    case close
    case reset
  }

  /// HTTP/2 has no place for them: there the client is told to ask by HTTP/1.1.
  package func send(verbatim bytes: [UInt8], then ending: Ending) {
    mailbox.post(.verbatim(destination, bytes, ending))
  }
}

extension Connection {
  func send(verbatim bytes: [UInt8], serial: UInt32, then ending: DeferredResponse.Ending) {
    if registration == nil { return }
    if let session {
      guard ending != .more, let slot = session.deferredSlot(Int32(bitPattern: serial)) else { return }
      session.requireHTTP1(slot)
      return resume(session)
    }
    if serial != self.serial || pending == nil { return }
    server.writer.output.append(bytes)
    switch ending {
    case .more: break
    case .reset: return reset()
    case .keep, .close:
      pending = nil
      http1.answered(keepAlive: ending == .keep, now: server.loop.now)
    }
    resume()
  }
}
