package import Basics
package import BrokerCore
import OAuth
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
  /// The names of those who may ask; nil: whoever can connect is served.
  package var callers: Set<String>?
  /// What callers have asked for.
  package var usage: [CallerUsage.Row] = []
  package var denials: [Denial] = []
  package var dependencies: DependencyFigures?

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

extension StatusFacts {
  /// When a client was last seen to be well again.
  struct Amends {
    /// When the tenant last gave it a token.
    let success: Instant?
    /// When it was given the credentials that it has.
    let credentials: Instant?

    /// Whether what went wrong with one of its tokens, and would have with any, is over.
    func mend(_ failure: PastFailure) -> Bool {
      switch failure.error.cause {
      case .brokerMisconfigured: [success, credentials].contains { $0.map { $0 > failure.at } ?? false }
      case .upstreamGlitch, .upstreamUnavailable, .upstreamTimeout, .upstreamRateLimited:
        success.map { $0 > failure.at } ?? false
      case .unknownAudience, .audienceNotGranted, .unknownOrganization, .invalidCaller, .invalidUpstreamResponse,
        .tokenValidationFailed, .overloaded, .allowanceUsedUp:
        false
      }
    }
  }

  /// By client; a pass-through has no credentials of its own.
  var amends: [UpstreamID: Amends] {
    let all = clients.flatMap { status in
      status.clients.enumerated().map { index, id in
        let credentials = index == 0 ? status.source.secrets.compactMap(\.since).max() : nil
        return (id, Amends(success: broker.figures.clients[id.name]?.lastMint, credentials: credentials))
      }
    }
    return Dictionary(all) { $1 }
  }
}
