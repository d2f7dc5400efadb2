package import IO
import Synchronization

/// A server of HTTP/1.1 and HTTP/2: a loop per core, each taking connections at every address.
package final class Server: Sendable {
  /// One address to serve, what for, and with which certificate, if any.
  package struct Binding: Sendable {
    package let address: SocketAddress
    package let role: ListenerRole
    package let tls: TLSContext?
    /// Every connection is one of these, and begins with the header of the PROXY protocol; nil: none does.
    package let proxies: [AddressRange]?
    private let inherited: Listener?

    package init(
      _ address: SocketAddress, _ role: ListenerRole = .main, tls: TLSContext? = nil, proxies: [AddressRange]? = nil
    ) {
      self.address = address
      self.role = role
      self.tls = tls
      self.proxies = proxies
      inherited = nil
    }

    /// Serves a listener that was handed over to this process.
    package init(
      inherited listener: Listener, _ role: ListenerRole = .main, tls: TLSContext? = nil, proxies: [AddressRange]? = nil
    ) {
      address = listener.address
      self.role = role
      self.tls = tls
      self.proxies = proxies
      inherited = listener
    }

    fileprivate func listen() throws(BindError) -> Listener {
      if let inherited { return inherited }
      do throws(SystemError) {
        return try Listener(address)
      } catch {
        throw BindError(address: address, role: role, reason: error)
      }
    }
  }

  /// An address that could not be listened on.
  package struct BindError: Error, CustomStringConvertible {
    package let address: SocketAddress
    package let role: ListenerRole
    package let reason: SystemError
    package var description: String { "cannot listen on \(address): \(reason)" }
  }

  /// One for each binding, in their order. The bindings themselves would keep an inherited listener open.
  package let listenerStates: [ListenerState]
  private let limits: Limits
  private let label: String
  private let mailboxes: [Mailbox<ServerLoop.Command>]
  /// The listeners of each loop, until the loop takes them: then they close with it.
  private let listeners: Mutex<[[Listener]]>

  /// Binds and listens at once; connections wait until `run`. Throws `BindError` or `SystemError`.
  package init(label: String, _ bindings: [Binding], loops count: Int, limits: Limits = Limits()) throws {
    let first = try bindings.map { binding throws(BindError) in try binding.listen() }
    let others = try (1..<count).map { _ in try first.map { listener throws(SystemError) in try listener.sibling() } }
    listeners = Mutex([first] + others)
    mailboxes = try (0..<count).map { _ throws(SystemError) in try Mailbox() }
    listenerStates = zip(first, bindings).map { ListenerState($0.address, $1, limits) }
    self.limits = limits
    self.label = label
  }

  /// Makes the handler of one event loop, on that loop; loops are numbered from 0.
  package typealias MakeHandler = @Sendable (_ index: Int, EventLoop) throws -> any RequestHandler

  /// Serves until drained or stopped.
  package func run(_ makeHandler: @escaping MakeHandler) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      for index in mailboxes.indices {
        group.addTask {
          do {
            try await self.runLoop(index, makeHandler)
          } catch {
            // Half a server is none: the other loops end, and `run` throws.
            self.stop()
            throw error
          }
        }
      }
      try await group.waitForAll()
    }
  }

  private func runLoop(_ index: Int, _ makeHandler: @escaping MakeHandler) async throws {
    try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
      EventLoop.start(label: "\(label).\(index)") { [self] loop in
        let server = try ServerLoop(
          loop: loop, mailbox: mailboxes[index], limits: limits, handler: makeHandler(index, loop))
        for (state, listener) in zip(listenerStates, takeListeners(of: index)) {
          try server.listen(on: listener, state)
        }
        return server
      } ended: {
        continuation.resume(with: $0)
      }
    }
  }

  private func takeListeners(of index: Int) -> [Listener] {
    listeners.withLock { listeners in
      defer { listeners[index] = [] }
      return listeners[index]
    }
  }

  /// Stops listening and lets `run` return once the requests in flight are answered, at the latest after `timeout`.
  package func drain(timeout: Duration) {
    for mailbox in mailboxes { mailbox.post(.drain) }
    Task {
      // The deadline of the drain; where that ends before, stopping what has ended does nothing.
      try? await Task.sleep(for: timeout)
      stop()
    }
  }

  /// Gives new connections at the listeners of a role that have TLS another context. Those that are open go on, but for
  /// clients whose certificates it would not accept, or lacks: they are cut off, whatever is in flight.
  package func replaceTLS(of role: ListenerRole, with context: TLSContext) {
    for state in listenerStates where state.role == role && state.isTLS {
      state.replaceContext(context)
      for mailbox in mailboxes { mailbox.post(.readmit(state, context)) }
    }
  }

  /// The addresses bound, in the order of the bindings.
  package var addresses: [SocketAddress] { listenerStates.map(\.address) }

  /// The addresses bound for this role.
  package func addresses(of role: ListenerRole) -> [SocketAddress] {
    listenerStates.filter { $0.role == role }.map(\.address)
  }

  /// Lets `run` return now, whatever is in flight.
  package func stop() { for mailbox in mailboxes { mailbox.post(.stop) } }
}
