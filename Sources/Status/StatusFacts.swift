package import Basics
import OAuth
package import BrokerCore
package import Telemetry

/// What a report is made of: gathered at one moment, and in the broker's own terms.
package struct StatusFacts: Sendable {
  var now: Instant
  /// The same moment, in Unix time.
  var wallNow: Double
  var isDraining = false
  var broker: BrokerStatus
  var clients: [UpstreamStatus] = []
  /// What the configuration lists, whether or not it was ever asked for.
  var listed: [TokenKey] = []
  /// Answers from the event loops' tables, by token and by client.
  package var hits: [TokenKey: Int] = [:]
  var clientHits: [String: Int] = [:]
  var traffic: [Traffic.Minute] = []
  var process: StatusReport.Process
  var listeners: [StatusReport.Listener] = []
  var callers: Int?

  package init(
    now: Instant, wallNow: Double, isDraining: Bool = false, broker: BrokerStatus, clients: [UpstreamStatus] = [],
    listed: [TokenKey] = [], hits: [TokenKey: Int] = [:], clientHits: [String: Int] = [:],
    traffic: [Traffic.Minute] = [], process: StatusReport.Process, listeners: [StatusReport.Listener] = [],
    callers: Int? = nil
  ) {
    self.now = now
    self.wallNow = wallNow
    self.isDraining = isDraining
    self.broker = broker
    self.clients = clients
    self.listed = listed
    self.hits = hits
    self.clientHits = clientHits
    self.traffic = traffic
    self.process = process
    self.listeners = listeners
    self.callers = callers
  }

  /// In Unix time, to the millisecond.
  func time(_ instant: Instant) -> Double {
    let time = wallNow + now.duration(to: instant) / .seconds(1)
    return (time * 1000).rounded() / 1000
  }

  func time(_ instant: Instant?) -> Double? { instant.map { time($0) } }
}
