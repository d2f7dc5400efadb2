package import IO

/// The request at hand. One a loop, used again for each request, and valid while `RequestHandler.handle` runs.
///
/// It keeps the bytes where they were received: what a request says is ranges of them.
@safe package final class Request {
  /// Reads headers; it holds the last one that it has read.
  var parser = RequestParser()
  @usableFromInline var bytes = unsafe UnsafeBufferPointer<UInt8>(start: nil, count: 0)
  private(set) var identifier = RequestID()
  /// What the listener is for that it came in by.
  package private(set) var role = ListenerRole.main
  /// It came in by TCP on a loopback address, which programs of this machine reach, and among them its browsers.
  package private(set) var isOnLoopback = false
  /// Who asks, where the request came in by a Unix socket; nil for TCP.
  package var peer: PeerCredentials? { unsafe connection?.peer }
  /// Who asks, where that was proven with a certificate in the TLS handshake.
  package var certificate: PeerCertificate? { unsafe connection?.certificate }
  /// It came in by a listener with TLS.
  package private(set) var isTLS = false
  /// What it came in by. Not kept alive, which would cost each request: it handles the request as long as that lasts.
  private unowned(unsafe) var connection: Connection?
  /// It came in by HTTP/2.
  package private(set) var isHTTP2 = false

  /// Shows `bytes` while `body` runs.
  func show<Result>(_ bytes: Span<UInt8>, _ body: () -> Result) -> Result {
    unsafe bytes.withUnsafeBufferPointer { buffer in
      unsafe self.bytes = buffer
      defer { unsafe self.bytes = UnsafeBufferPointer(start: nil, count: 0) }
      return body()
    }
  }

  /// A request has become whole: the parser has read its header from the bytes that are shown.
  func begin(on connection: Connection, isHTTP2: Bool) {
    role = connection.listener.role
    isTLS = connection.listener.isTLS
    unsafe self.connection = connection
    isOnLoopback = connection.listener.isOnLoopback
    self.isHTTP2 = isHTTP2
    let id = value(of: "x-request-id")
    unsafe identifier.begin(id, in: bytes.span)
  }

  /// What is answered next was put off, and had this id; nil: it never was a request.
  func restore(id: String?) {
    unsafe connection = nil
    identifier.restore(id)
  }

  /// Where it comes from, as far as one place can be told from another: the subject of its certificate, its Unix user,
  /// or the network address, which behind the PROXY protocol is the one that the proxy tells.
  package var source: String { unsafe certificate?.subject ?? connection?.place.network ?? "unknown" }

  /// Where it comes from, for people: an address and a port, of which a proxy may have told, or a Unix user.
  package var peerName: String { unsafe connection?.place.name ?? "gone" }

  /// The caller's id if it is sane, else a fresh one.
  package var id: String { identifier.text }
}

extension Request {
  package var method: RequestHead.Method { parser.head.method }
  /// The method as it was sent, with which the request begins.
  package var methodText: String {
    withBytes { bytes in
      var end = 0
      while end < bytes.count, Octet.isToken(bytes[end]) { end += 1 }
      return bytes.text(at: 0..<end)
    }
  }
  /// The target up to `?`, without the authority of an absolute-form target (RFC 9112 §3.2.2).
  package var path: Range<Int> { parser.head.path }
  /// What stands behind the `?`; nil without one.
  package var query: Range<Int>? { parser.head.query }
  /// Host and port that the request is for: those of an absolute-form target, beside which the Host field means nothing
  /// (RFC 9112 §3.2.2), else of that field. nil where HTTP/1.0 names none.
  package var host: Range<Int>? { parser.head.authority ?? value(of: "host") }
  /// The decoded body.
  package var body: Range<Int> { parser.head.body }

  /// The value of the first field called `name` (lower case), without the space around it.
  package func value(of name: StaticString) -> Range<Int>? {
    unsafe parser.head.value(of: name, in: bytes.span)
  }

  /// Whether several fields are called `name` (lower case).
  package func isRepeated(_ name: StaticString) -> Bool {
    parser.head.fields.count { matches(name, at: $0.name) } > 1
  }

  /// The text of the fields called `name` (lower case), several joined as one list (RFC 9110 §5.3); bytes that are no
  /// UTF-8 are replaced.
  package func text(of name: StaticString) -> String? { text { matches(name, at: $0) } }

  /// The same, for a name that is known at run time only.
  package func text(of name: String) -> String? { text { text(at: $0).lowercased() == name } }

  private func text(where isNamed: (Range<Int>) -> Bool) -> String? {
    let values = parser.head.fields.filter { isNamed($0.name) }.map { text(at: $0.value) }
    return values.isEmpty ? nil : values.joined(separator: ", ")
  }

  /// Whether there is a field whose name fits.
  package func hasField(where fits: (_ name: String) -> Bool) -> Bool {
    parser.head.fields.contains { fits(text(at: $0.name).lowercased()) }
  }

  /// ASCII case is ignored; `expected` is lower case.
  package func matches(_ expected: StaticString, at range: Range<Int>) -> Bool {
    unsafe bytes.span.matches(expected, at: range)
  }

  /// Exactly these bytes, case and all.
  package func equals(_ expected: StaticString, at range: Range<Int>) -> Bool {
    unsafe bytes.span.equals(expected, at: range)
  }

  /// What stands at `range`; bytes that are no UTF-8 are replaced.
  package func text(at range: Range<Int>) -> String { unsafe bytes.span.text(at: range) }
  package func array(at range: Range<Int>) -> [UInt8] { unsafe bytes.span.array(at: range) }

  /// Percent-decodes what stands at `range` into `output`, in place of what that held. False if an escape is malformed.
  package func decode(_ range: Range<Int>, into output: inout [UInt8]) -> Bool {
    unsafe PercentDecoder.decode(bytes.span, range, into: &output)
  }

  /// All of its bytes, of which its ranges are parts.
  @inlinable package func withBytes<Result, Failure: Error>(
    _ body: (Span<UInt8>) throws(Failure) -> Result
  ) throws(Failure) -> Result { try unsafe body(bytes.span) }
}
