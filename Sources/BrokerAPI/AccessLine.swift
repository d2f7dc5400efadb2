import Basics
import HTTPServer
import Logging
import BrokerCore

/// What the log says of a request, once it is answered.
struct AccessLine: Sendable {
  private let log: Logger
  private let method: String
  private let path: String
  private let request: RequestIdentity
  private let start = Instant.now

  init(_ head: borrowing RequestHead, _ bytes: Span<UInt8>, _ response: ResponseWriter, _ log: Logger) {
    self.log = log
    method = "\(head.method)"
    path = bytes.text(at: head.path)
    request = RequestIdentity(head, bytes, id: response.requestID)
  }

  func write(status: Int) {
    var facts: Logger.Metadata = [
      "method": "\(method)", "path": "\(path)", "status": "\(status)",
      "duration_ms": "\(start.duration(to: .now).milliseconds)",
    ]
    for fact in request.facts { facts[fact.name] = "\(fact.value)" }
    log.debug("request", metadata: facts)
  }
}
