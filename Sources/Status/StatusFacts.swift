import Basics
import OAuth
import BrokerCore

/// What a report is made of: gathered at one moment, and in the broker's own terms.
struct StatusFacts: Sendable {
  var now: Instant
  /// The same moment, in Unix time.
  var wallNow: Double
  var isDraining = false
  var broker: BrokerStatus
  var clients: [Upstreams.Status] = []
  /// What the configuration lists, whether or not it was ever asked for.
  var listed: [TokenKey] = []
  /// Answers from the event loops' tables, by token and by client.
  var hits: [TokenKey: Int] = [:]
  var clientHits: [String: Int] = [:]
  var traffic: [Traffic.Minute] = []
  var process: StatusReport.Process
  var listeners: [StatusReport.Listener] = []
  var callers: Int?

  /// In Unix time, to the millisecond.
  func time(_ instant: Instant) -> Double {
    let time = wallNow + now.duration(to: instant) / .seconds(1)
    return (time * 1000).rounded() / 1000
  }

  func time(_ instant: Instant?) -> Double? { instant.map { time($0) } }
}
