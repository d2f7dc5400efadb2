import BrokerCore
import OAuth
import Telemetry

/// Who asks for a token, as log lines and metrics call them.
enum Asker: Sendable {
  /// Nobody has to prove who they are.
  case anyone
  /// Nobody was recognised.
  case unknown
  case caller(Caller)
  /// A client of the tenant's own, by its client id there.
  case passThrough(String)

  init(_ identity: Identity) {
    switch identity {
    case .anyone: self = .anyone
    case .caller(let caller): self = .caller(caller)
    case .passThrough(let credentials): self = .passThrough(credentials.clientID)
    case .unverifiedToken, .refused: self = .unknown
    }
  }

  init(_ caller: Caller?) { self = caller.map { .caller($0) } ?? .anyone }

  /// In the log; nil where there is none.
  var name: String? {
    switch self {
    case .anyone, .unknown: nil
    case .caller(let caller): caller.name
    case .passThrough(let clientID): clientID
    }
  }

  /// In the metrics, which are no place for what anybody can make up; nil where nothing is counted.
  var label: String? {
    switch self {
    case .anyone: nil
    case .unknown: CallerUsage.unknown
    case .caller(let caller): caller.name
    case .passThrough: CallerUsage.passThrough
    }
  }
}

extension CallerUsage {
  /// Counts a request that was answered with an error, or, where that is nil, with a token.
  func count(_ error: APIError?, _ asker: Asker, audience: String?) {
    guard let label = asker.label else { return }
    let outcome = error.map { Outcome($0.word, isDenial: $0.isDenial) } ?? .given
    count(label, audience: audience, outcome)
  }
}
