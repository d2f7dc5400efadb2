import Dispatch
import Glibc

/// The signals that a service handles.
package enum Signal: String, Sendable, CaseIterable {
  case interrupt = "SIGINT"
  case terminate = "SIGTERM"
  case hangUp = "SIGHUP"

  fileprivate var number: Int32 {
    switch self {
    case .interrupt: SIGINT
    case .terminate: SIGTERM
    case .hangUp: SIGHUP
    }
  }
}

/// The signals that reach this process as a stream, for as long as this object lives.
package final class Signals {
  package let stream: AsyncStream<Signal>
  private let sources: [any DispatchSourceSignal]

  /// Returns when all are watched. Until then each still ends the process: none is received and lost.
  package init() async {
    let (stream, continuation) = AsyncStream<Signal>.makeStream()
    self.stream = stream
    sources = Signal.allCases.map { signal in
      let source = DispatchSource.makeSignalSource(signal: signal.number)
      source.setEventHandler { continuation.yield(signal) }
      return source
    }
    for source in sources {
      await withCheckedContinuation { watched in
        source.setRegistrationHandler { watched.resume() }
        source.activate()
      }
    }
  }

  deinit { for source in sources { source.cancel() } }
}
