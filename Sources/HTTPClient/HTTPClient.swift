package import Basics
import IO
import Synchronization

/// The client for upstream requests, on libcurl's multi interface: connections are kept and shared, HTTP/2 is used
/// where offered, certificates are always verified, and redirects are never followed.
///
/// All of curl runs on `TaskLoop`, where those who ask do, too.
package final class HTTPClient: Sendable {
  package enum Trust: Sendable, Equatable {
    /// The system's authorities.
    case system
    /// The authorities in a PEM file.
    case file(String)
    /// The authorities in a PEM text.
    case pem(String)
    /// The one certificate in a PEM text itself, whatever host it is for.
    case shown(String)
  }

  /// A certificate to be known by, and its key: PEM files, read again for each connection.
  package struct Identity: Sendable, Equatable {
    package let certificateFile: String
    package let keyFile: String

    package init(certificateFile: String, keyFile: String) {
      self.certificateFile = certificateFile
      self.keyFile = keyFile
    }
  }

  /// What all requests of a client have in common.
  struct Options: Sendable {
    let trust: Trust
    let identity: Identity?
    let proxy: String?
    let userAgent: String
    let connectTimeout: Duration
    /// Where hosts are, instead of what their names are looked up to, in curl's form: `host:port:address,address`.
    var addresses: [String] = []
    /// How long connections are used, so that changes of the DNS are followed.
    var lifetime = Duration.seconds(600)
  }

  package struct Request: Sendable {
    package var url: String
    package var headers: [(name: String, value: String)] = []
    /// The value of an `Authorization` field. Handed to curl without a copy, and wiped when the request is over.
    package var authorization: Secret?
    /// The path of the Unix socket that the server is reached by; nil: by TCP, as the URL says.
    package var socket: String?
    /// Instead of the client's own identity.
    package var identity: Identity?
    /// Makes it a POST. Wiped when the request is over, as is what curl has read of it.
    package var body: Secret?
    /// For everything, from waiting for its turn to the last byte.
    package var timeout: Duration
    /// How often it has been sent before: after a `Failure` that is `lost`, one that is sent again has one more.
    package var attempt = 0
    /// Makes it end when the connection stands: nothing is sent.
    var probe: ConnectionProbe?

    /// The last `attempt` of a request, by HTTP/2.
    static let lastAttempt = 2

    package init(url: String, headers: [(name: String, value: String)] = [], body: Secret? = nil, timeout: Duration) {
      self.url = url
      self.headers = headers
      self.body = body
      self.timeout = timeout
    }
  }

  package struct Response: Sendable {
    package let status: Int
    /// The header fields in their order, with names in lower case.
    package let fields: [(name: String, value: String)]
    package let body: [UInt8]
    package let requestedAt: Instant
    package let receivedAt: Instant

    /// The first value of a header field; `name` in lower case.
    package func field(_ name: String) -> String? { fields.first { $0.name == name }?.value }
  }

  /// There is no answer: what failed, and curl's words for it.
  package struct Failure: Error, Equatable, CustomStringConvertible {
    package enum Kind: Sendable {
      case connect, tls, timeout, tooLarge, exchange
      /// The client's own certificate cannot be used, or the server wants one, or another.
      case identity
      /// The connection, which was kept, has ended before any answer, and nobody knows whether the server has read the
      /// request. It is worth sending again as its next `attempt`, with a new proof of who asks.
      case lost
    }

    package let kind: Kind
    package let message: String
    /// The server has asked for a certificate, and the connection has ended before it could say what it thinks of it.
    var isIdentityInDoubt = false
    package var description: String { message }
  }

  /// The most an answer's body, or its header, may be.
  static let bodyLimit = 1 << 20
  static let headLimit = 64 << 10

  struct Submission: Sendable {
    let request: Request
    let server: RequestServer
    let deadline: Instant
    let continuation: Continuation

    typealias Continuation = CheckedContinuation<Result<Response, Failure>, Never>
  }

  private let options: Options
  /// Those that requests join; nil: the next one begins anew.
  private let present = Mutex<Transfers?>(nil)

  /// What requests are sent by, and those who send them had best run on.
  package static var executor: any SerialExecutor & TaskExecutor { TaskLoop.shared }

  /// `identity` is shown to every server that asks for one. `proxy` is a URL, empty for none at all and nil for what
  /// the environment says; this machine itself is never reached through it.
  package convenience init(
    trust: Trust = .system, identity: Identity? = nil, proxy: String? = nil, userAgent: String = "token-broker",
    connectTimeout: Duration = .seconds(5)
  ) throws(Failure) {
    try self.init(
      Options(trust: trust, identity: identity, proxy: proxy, userAgent: userAgent, connectTimeout: connectTimeout))
  }

  init(_ options: Options) throws(Failure) {
    self.options = options
    _ = try transfers()
  }

  /// After their lifetime requests begin anew, on connections of their own, while those under way end on the old ones.
  /// With CURLOPT_MAXLIFETIME_CONN a connection by HTTP/2 that is never at rest would live for ever.
  private func transfers() throws(Failure) -> Transfers {
    try present.withLock { present throws(Failure) in
      if let present, .now < present.until { return present }
      let transfers = try Transfers(options) { [weak self] in self?.leave($0) }
      present = transfers
      return transfers
    }
  }

  /// Lets go of transfers whose connections are not to be used any more: they are closed once nobody else has them.
  private func leave(_ transfers: Transfers) {
    present.withLock { if $0 === transfers { $0 = nil } }
  }

  /// Sends one request and returns its answer, whatever its status. One without a body is sent again where that is
  /// worth it; one with a body may hold what the server must not see twice, and is made anew by whoever made it.
  package func send(_ request: Request) async throws(Failure) -> Response {
    let deadline = Instant.now.advanced(by: request.timeout)
    var request = request
    while true {
      do throws(Failure) {
        return try await transfers().send(request, by: deadline).get()
      } catch {
        if error.isIdentityInDoubt { throw await explained(error, request, by: deadline) }
        guard error.kind == .lost, request.body == nil else { throw error }
        request.attempt += 1
      }
    }
  }

  /// By TLS 1.3 a client's certificate is refused behind the handshake, with an alert that is lost if the request is
  /// sent before it comes. So another connection is made, on which nothing is sent.
  private func explained(_ failure: Failure, _ request: Request, by deadline: Instant) async -> Failure {
    let report = await connect(to: request.url, as: request.identity, timeout: Instant.now.duration(to: deadline))
    guard let found = report.failure, found.cause == .identity else { return failure }
    return Failure(kind: .identity, message: found.message)
  }

  /// Connects anew, as for a request, and asks nothing. `proxy` says whether the way is known to lead through one.
  package func connect(
    to url: String, by proxy: String? = nil, as identity: Identity? = nil, timeout: Duration
  ) async -> ConnectionReport {
    let probe = ConnectionProbe(isProxied: proxy != nil)
    var request = Request(url: url, timeout: timeout)
    request.identity = identity
    request.probe = probe
    do throws(Failure) {
      _ = try await send(request)
      return probe.report
    } catch {
      return probe.report.failing(error)
    }
  }
}
