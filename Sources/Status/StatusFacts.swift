package import Basics
package import BrokerCore
package import Telemetry

/// What a report is made of: gathered at one moment, and in the broker's own terms.
package struct StatusFacts: Sendable {
  package var now: Instant
  /// The same moment, in Unix time.
  var wallNow: Double
  package var isDraining = false
  var broker: BrokerStatus
  package var clients: [UpstreamStatus] = []
  /// What the configuration lists, whether or not it was ever asked for.
  package var listed: [TokenKey] = []
  /// Answers from the event loops' tables, by token and by client.
  package var hits: [TokenKey: Int] = [:]
  package var clientHits: [String: Int] = [:]
  package var traffic: [Traffic.Minute] = []
  var process: StatusReport.Process
  package var listeners: [StatusReport.Listener] = []
  package var callers: Int?

  /// In Unix time, to the millisecond.
  func time(_ instant: Instant) -> Double {
    let time = wallNow + now.duration(to: instant) / .seconds(1)
    return (time * 1000).rounded() / 1000
  }

  func time(_ instant: Instant?) -> Double? { instant.map { time($0) } }
}

extension StatusFacts {
  /// The facts of this moment that every report needs; the others are added to it.
  package init(of broker: BrokerStatus, _ process: StatusReport.Process) {
    self.init(now: .now, wallNow: WallClock.now, broker: broker, process: process)
  }
}
