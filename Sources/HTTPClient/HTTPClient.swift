package import Basics
import CCurl
import Dispatch
import Synchronization

/// The client for upstream requests, on libcurl's multi interface: connections are kept and shared, HTTP/2 is used
/// where offered, certificates are always verified, and redirects are never followed.
///
/// All of curl runs in one block on a serial queue, which waits in `curl_multi_poll` while anything is in flight and
/// ends when nothing is. That is one mechanism for sockets and timers, and no Dispatch source per descriptor, which on
/// Linux has open bugs (swift-corelibs-libdispatch issues 833 and 949).
package final class HTTPClient: Sendable {
  package enum Trust: Sendable, Equatable {
    /// The system's authorities.
    case system
    /// The authorities in a PEM file.
    case file(String)
    /// The authorities in a PEM text.
    case pem(String)
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
  }

  package struct Request: Sendable {
    package var url: String
    package var headers: [(name: String, value: String)] = []
    /// The value of an `Authorization` field. Handed to curl without a copy, and wiped when the request is over.
    package var authorization: Secret?
    /// Instead of the client's own identity.
    package var identity: Identity?
    /// Makes it a POST. Handed to curl without a copy, and wiped when the request is over.
    package var body: Secret?
    /// For everything, from the name lookup to the last byte.
    package var timeout: Duration
    /// Makes it end when the connection stands: nothing is sent.
    var probe: ConnectionProbe?

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
      /// The client's own certificate cannot be used, or the server wants one.
      case identity
    }

    package let kind: Kind
    package let message: String
    package var description: String { message }
  }

  /// The most an answer's body, or its header, may be.
  static let bodyLimit = 1 << 20
  static let headLimit = 64 << 10

  private struct Inbox {
    var waiting: [Submission] = []
    var isDriving = false
  }

  struct Submission: Sendable {
    let request: Request
    let continuation: CheckedContinuation<Result<Response, Failure>, Never>
  }

  private let queue = DispatchQueue(label: "upstream")
  private let transfers: Transfers
  private let inbox = Mutex(Inbox())

  /// `identity` is shown to every server that asks for one. `proxy` is a URL, empty for none at all and nil for what
  /// the environment says; this machine itself is never reached through it.
  package init(
    trust: Trust = .system, identity: Identity? = nil, proxy: String? = nil, userAgent: String = "token-broker",
    connectTimeout: Duration = .seconds(5)
  ) throws(Failure) {
    transfers = try Transfers(
      Options(trust: trust, identity: identity, proxy: proxy, userAgent: userAgent, connectTimeout: connectTimeout))
  }

  /// Sends one request and returns its answer, whatever its status.
  package func send(_ request: Request) async throws(Failure) -> Response {
    let result = await withCheckedContinuation { continuation in
      let starts = inbox.withLock { inbox in
        inbox.waiting.append(Submission(request: request, continuation: continuation))
        defer { inbox.isDriving = true }
        return !inbox.isDriving
      }
      if starts {
        queue.async { [self] in drive() }
      } else {
        transfers.wakeUp()
      }
    }
    return try result.get()
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

  /// Runs until nothing is in flight and nothing waits.
  private func drive() {
    while true {
      startWaiting()
      transfers.advance()
      if transfers.isEmpty {
        let ends = inbox.withLock { inbox in
          if !inbox.waiting.isEmpty { return false }
          inbox.isDriving = false
          return true
        }
        if ends { return }
      } else {
        transfers.wait()
      }
    }
  }

  private func startWaiting() {
    let submissions = inbox.withLock { inbox in
      defer { inbox.waiting = [] }
      return inbox.waiting
    }
    for submission in submissions { transfers.start(submission) }
  }
}
