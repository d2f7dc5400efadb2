import Logging
import IO
import BrokerCore

/// The loop's side of a store: two links, because a connection that hears of changes can do nothing else.
final class RedisLoop {
  enum Message: Sendable {
    case ask(RedisRequest)
    case link(RedisLink.Purpose, RedisLink.Message)
    /// The server does not write. Behind its name there may be another by now, which does.
    case metReplica
    /// Whoever still waits for the first connection has waited long enough.
    case startIsOver
    case close
  }

  private let loop: EventLoop
  private let state: RedisState
  private let changes: RedisChanges
  private let log: Logger
  private var links: [RedisLink.Purpose: RedisLink] = [:]
  /// Asked before there was a first connection.
  private var early: [RedisRequest] = []
  private var saysDeaf = false

  init(
    _ settings: RedisSettings, on loop: EventLoop, mailbox: Mailbox<Message>, state: RedisState, changes: RedisChanges,
    log: Logger
  ) throws {
    self.loop = loop
    self.state = state
    self.changes = changes
    self.log = log
    try mailbox.attach(to: loop) { [unowned self] in receive($0) }
    for purpose in [RedisLink.Purpose.commands, .changes] {
      links[purpose] = RedisLink(purpose, settings, on: loop) { [state] message in
        state.post(.link(purpose, message))
      } report: { [unowned self] event in
        switch purpose {
        case .commands: commandsLink(event)
        case .changes: changesLink(event)
        }
      }
    }
  }

  private func receive(_ message: Message) {
    switch message {
    case .ask(let request):
      if let connection = links[.commands]?.connection {
        connection.send(request)
      } else if state.isStarting {
        early.append(request)
      } else {
        do throws(StoreError) { try state.check() } catch { request.answer(.failure(error)) }
      }
    case .link(let purpose, let message): links[purpose]?.receive(message)
    case .metReplica: links[.commands]?.renew(StoreError("the server is a replica"))
    case .startIsOver:
      if state.isStarting { commandsLink(.lost(StoreError("not connected yet"))) }
    case .close:
      for link in links.values { link.close() }
      early = []
      loop.stop()
    }
  }

  private func commandsLink(_ event: RedisLink.Event) {
    switch event {
    case .opened:
      state.opened()
      for request in early { links[.commands]?.connection?.send(request) }
    case .lost(let reason):
      state.lost(reason)
      for request in early { request.answer(.failure(reason)) }
    case .heard: break
    }
    early = []
  }

  private func changesLink(_ event: RedisLink.Event) {
    switch event {
    case .opened:
      saysDeaf = false
      // Nobody knows what was missed.
      changes.announceAll()
    case .heard(let payload): changes.announce(payload)
    case .lost(let reason):
      // Waits then last until their deadline. Where the other link is lost, too, it has said why.
      if !saysDeaf, links[.commands]?.connection != nil {
        saysDeaf = true
        log.warning("the store tells of no changes", metadata: ["reason": "\(reason.reason)"])
      }
    }
  }
}
