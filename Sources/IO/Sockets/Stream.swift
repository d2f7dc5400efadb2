/// What one non-blocking read or write came to.
package enum StreamResult {
  case bytes(Int)
  /// Nothing moves until the descriptor is ready so; TLS may have to write before it can read.
  case blocked(on: Readiness)
  case ended
  case failed
  /// A peer that should speak TLS has begun with text. It is answered without TLS, and nothing it sends is trusted.
  case clearText
}

/// A connected socket, plain or with TLS on top.
package struct Stream: ~Copyable {
  // Declared before the descriptor, so that TLS ends before it is closed.
  private let tls: TLSStream?
  private let descriptor: Descriptor

  package var number: Int32 { descriptor.number }

  package init(_ descriptor: consuming Descriptor, tls context: TLSContext?) throws(TLSError) {
    if let context { tls = try TLSStream(context, over: descriptor.number) } else { tls = nil }
    self.descriptor = descriptor
  }

  /// The client's side, over a descriptor that is connected or about to be. With `tls` the server must prove to be
  /// `host`.
  package init(_ descriptor: consuming Descriptor, tls context: TLSClientContext?, to host: String) throws(TLSError) {
    if let context { tls = try TLSStream(context, host: host, over: descriptor.number) } else { tls = nil }
    self.descriptor = descriptor
  }

  package var isTLS: Bool { tls != nil }

  /// Who is at the other end; nil once that is gone.
  package var peerAddress: SocketAddress? { SocketAddress(peerOf: number) }

  /// HTTP/2 was agreed on in the TLS handshake (ALPN, RFC 9113 §3.2).
  package var speaksHTTP2: Bool { tls?.speaksHTTP2 ?? false }

  /// The client's certificate, where it has shown one and the handshake is over.
  package var peerCertificate: PeerCertificate? { tls?.peerCertificate }

  /// Whether the TLS handshake is under way, so that the peer is not known yet.
  package var isShakingHands: Bool { tls?.isShakingHands ?? false }

  /// Whether another context would have let in this peer, now.
  package func isAdmitted(by context: TLSContext) -> Bool { tls?.isAdmitted(by: context) ?? true }

  /// Reads once into `buffer`.
  package func receive(into buffer: UnsafeMutableRawBufferPointer) -> StreamResult {
    if let tls, !tls.isClearText { return unsafe tls.receive(into: buffer) }
    do throws(SystemError) {
      guard let count = try unsafe SystemCall.receive(number, into: buffer) else { return .blocked(on: .readable) }
      return count == 0 ? .ended : .bytes(count)
    } catch {
      return .failed
    }
  }

  /// Writes once, perhaps only the first of `bytes`.
  package func send(_ bytes: UnsafeRawBufferPointer) -> StreamResult {
    if let tls, !tls.isClearText { return unsafe tls.send(bytes) }
    do throws(SystemError) {
      guard let count = try unsafe SystemCall.send(number, bytes) else { return .blocked(on: .writable) }
      return .bytes(count)
    } catch {
      return .failed
    }
  }

  /// True while read bytes wait above the descriptor: read again without waiting for it, until that is blocked.
  package var hasBuffered: Bool { tls?.hasBuffered ?? false }

  /// Why TLS has failed; nil where it has not.
  package var tlsFailure: String? { tls?.failureReason }

  /// What has ended the TLS handshake, where that has begun and did not succeed.
  package var handshakeFailure: TLSHandshakeFailure? { tls?.handshakeFailure }

  /// Ends the sending half; the peer may still send.
  package func endOutput() {
    if let tls, !tls.isClearText { tls.endOutput() }
    SystemCall.endOutput(number)
  }

  /// Closing will reset the connection.
  package func resetOnClose() { SystemCall.resetOnClose(number) }
}
