import Basics
import BrokerCore
import HTTPServer
import Logging

/// What the log says of a request, once it is answered.
struct AccessLine: Sendable {
  private let log: Logger
  private let method: String
  private let path: String
  private let identity: RequestIdentity

  init(_ request: Request, _ log: Logger) {
    self.log = log
    method = "\(request.method)"
    path = request.text(at: request.path)
    identity = RequestIdentity(request)
  }

  func write(status: Int, took: Duration) {
    var facts: Logger.Metadata = [
      "method": "\(method)", "path": "\(path)", "status": "\(status)", "duration_ms": "\(took.milliseconds)",
    ]
    for fact in identity.facts { facts[fact.name] = "\(fact.value)" }
    log.debug("request", metadata: facts)
  }
}
