import Basics
package import BrokerCore
package import Logging

/// A line for each request that is answered, at the level `debug`.
package struct AccessLog: Sendable {
  private let log: Logger

  package init(_ log: Logger) { self.log = log }

  package var isOn: Bool { log.logLevel <= .debug }

  package func write(method: String, path: String, _ request: RequestIdentity, status: Int, took: Duration) {
    var facts: Logger.Metadata = [
      "method": "\(method)", "path": "\(path)", "status": "\(status)", "duration_ms": "\(took.milliseconds)",
    ]
    for fact in request.allFacts { facts[fact.name] = "\(fact.value)" }
    log.debug("request", metadata: facts)
  }
}
