import BrokerCore
import HTTPServer
import Telemetry

/// What the log says of a request, once it is answered.
struct AccessLine: Sendable {
  private let log: AccessLog
  private let method: String
  private let path: String
  private let identity: RequestIdentity

  init(_ request: Request, _ log: AccessLog) {
    self.log = log
    method = request.methodText
    path = request.text(at: request.path)
    identity = RequestIdentity(request)
  }

  func write(status: Int, took: Duration) {
    log.write(method: method, path: path, identity, status: status, took: took)
  }
}
