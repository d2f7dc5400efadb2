import IO
import Synchronization

/// The TLS context that the next connection to an address gets.
final class CurrentTLSContext: Sendable {
  private let context: Mutex<TLSContext>

  init(_ context: TLSContext) { self.context = Mutex(context) }

  var current: TLSContext { context.withLock { $0 } }

  func replace(_ new: TLSContext) { context.withLock { $0 = new } }
}
