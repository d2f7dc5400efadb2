import Basics
import BrokerCore
import Dispatch
import IO
import Logging

/// A store's two connections, on its loop: one for commands, and one that hears of changes and can do nothing else.
final class RedisConnections {
  enum Message: Sendable {
    case ask(RedisRequest)
    case connector(RedisConnector.Purpose, RedisConnector.Message)
    /// The server does not write. Behind its name there may be another by now, which does.
    case metReplica
    /// The first connection has not come in time: who waits for it waits no longer.
    case startIsOver
    case close
  }

  private let loop: EventLoop
  private let commands: RedisConnector
  private let subscription: RedisConnector
  private let availability: RedisAvailability
  private let changes: StoreChanges
  private let log: Logger
  /// What was asked before there was a first connection.
  private var early: [RedisRequest] = []
  /// Whether it was logged that changes are not heard of.
  private var hasLoggedSilence = false

  init(
    _ settings: RedisSettings, on loop: EventLoop, mailbox: Mailbox<Message>, availability: RedisAvailability,
    changes: StoreChanges, log: Logger
  ) throws(SystemError) {
    self.loop = loop
    self.availability = availability
    self.changes = changes
    self.log = log
    commands = RedisConnector(.commands, settings, on: loop) { mailbox.post(.connector(.commands, $0)) }
    subscription = RedisConnector(.changes, settings, on: loop) { mailbox.post(.connector(.changes, $0)) }
    try mailbox.attach(to: loop) { [unowned self] in receive($0) }
    commands.start { [unowned self] in commandsChanged($0) }
    subscription.start { [unowned self] in subscriptionChanged($0) }
    let end = DispatchTime.now() + .nanoseconds(Int(settings.timeout.nanoseconds))
    DispatchQueue.global().asyncAfter(deadline: end) { mailbox.post(.startIsOver) }
  }

  private func receive(_ message: Message) {
    switch message {
    case .ask(let request): send(request)
    case .connector(.commands, let message): commands.receive(message)
    case .connector(.changes, let message): subscription.receive(message)
    case .metReplica: commands.renew(StoreError("the server is a replica"))
    case .startIsOver: if availability.isStarting { commandsChanged(.lost(StoreError("not connected yet"))) }
    case .close:
      commands.close()
      subscription.close()
      early = []
      loop.stop()
    }
  }

  private func send(_ request: RedisRequest) {
    if let connection = commands.connection { return connection.send(request) }
    if availability.isStarting { return early.append(request) }
    do throws(StoreError) { try availability.check() } catch { request.answer(.failure(error)) }
  }

  private func commandsChanged(_ event: RedisConnector.Event) {
    switch event {
    case .opened:
      availability.opened()
      for request in early { commands.connection?.send(request) }
    case .lost(let reason):
      availability.lost(reason)
      for request in early { request.answer(.failure(reason)) }
    case .published: break
    }
    early = []
  }

  private func subscriptionChanged(_ event: RedisConnector.Event) {
    switch event {
    case .opened:
      hasLoggedSilence = false
      // Nobody knows what was missed.
      changes.announceAll()
    case .published(let payload): changes.announce(payload)
    case .lost(let reason):
      // Waits then last until their deadline. Where commands have no connection either, that was logged already.
      if !hasLoggedSilence, commands.connection != nil {
        hasLoggedSilence = true
        log.warning("the store tells of no changes", metadata: ["reason": "\(reason.reason)"])
      }
    }
  }
}
