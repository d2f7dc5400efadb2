import Clocks
import HTTPServer
import Logging
import TokenBroker

/// What the log says of a request, once it is answered.
struct AccessLine: Sendable {
  private let log: Logger
  private let method: String
  private let path: String
  private let requestID: String
  private let start = Instant.now

  init(_ head: borrowing RequestHead, _ bytes: Span<UInt8>, _ response: ResponseWriter, _ log: Logger) {
    self.log = log
    method = "\(head.method)"
    path = bytes.text(at: head.path)
    requestID = response.requestID
  }

  func write(status: Int) {
    log.debug(
      "request",
      metadata: [
        "method": "\(method)", "path": "\(path)", "status": "\(status)", "request_id": "\(requestID)",
        "duration_ms": "\(start.duration(to: .now).milliseconds)",
      ])
  }
}
