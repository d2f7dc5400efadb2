import Dispatch
import Glibc

/// SIGINT, SIGTERM and SIGHUP as a stream, for as long as this object lives.
final class Signals {
  let stream: AsyncStream<Int32>
  private let sources: [any DispatchSourceSignal]

  /// Returns when all are watched. Until then each still ends the process: none is taken in and lost.
  init() async {
    let (stream, continuation) = AsyncStream<Int32>.makeStream()
    self.stream = stream
    sources = [SIGINT, SIGTERM, SIGHUP].map { number in
      let source = DispatchSource.makeSignalSource(signal: number)
      source.setEventHandler { continuation.yield(number) }
      return source
    }
    for source in sources {
      await withCheckedContinuation { watched in
        source.setRegistrationHandler { watched.resume() }
        source.activate()
      }
    }
  }

  deinit {
    for source in sources { source.cancel() }
  }
}
