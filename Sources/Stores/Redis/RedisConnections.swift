import Basics
import BrokerCore
import Dispatch
import IO
import Logging

/// A store's connections, on its loop: one for commands, one that hears of changes and can do nothing else, and one to
/// each node if the server turns out to be one of a cluster.
final class RedisConnections {
  enum Message: Sendable {
    /// To be sent together.
    case ask([RedisRequest])
    case commands(RedisConnector.Message)
    case subscription(RedisConnector.Message)
    case cluster(RedisCluster.Message)
    /// The server does not write. Behind its name there may be another by now, which does.
    case metReplica
    /// A file with a password holds another one than before.
    case passwordChanged
    case sentinels(RedisSentinels.Message)
    /// A connection has not come in time: who waits for it waits no longer.
    case waitIsOver
    case close
  }

  private let loop: EventLoop
  private let commands: RedisConnector
  private let subscription: RedisConnector
  private let cluster: RedisCluster
  /// nil where the server is where the settings say.
  private let sentinels: RedisSentinels?
  private let timeout: Duration
  private let post: @Sendable (Message) -> Void
  private let availability: RedisAvailability
  private let changes: StoreChanges
  private let log: Logger
  /// The one of the settings, or that the Sentinels have named.
  private var server: RedisSettings.Server
  /// Whether there is a connection for commands.
  private var isUp = false
  /// What was asked before there was a connection that is expected.
  private var early: [RedisRequest] = []

  init(
    _ settings: RedisSettings, on loop: EventLoop, mailbox: Mailbox<Message>, availability: RedisAvailability,
    changes: StoreChanges, places: RedisPlaces, log: Logger
  ) throws(SystemError) {
    self.loop = loop
    self.availability = availability
    self.changes = changes
    self.log = log
    server = settings.server
    timeout = settings.timeout
    post = { mailbox.post($0) }
    sentinels = RedisSentinels(settings, on: loop, log: log) { mailbox.post(.sentinels($0)) }
    let purpose = sentinels == nil ? RedisConnector.Purpose.commands : .primary
    commands = RedisConnector(purpose, settings, on: loop) { mailbox.post(.commands($0)) }
    subscription = RedisConnector(.changes, settings, on: loop) { mailbox.post(.subscription($0)) }
    cluster = RedisCluster(settings, seed: commands, places: places, on: loop, log: log) {
      mailbox.post(.cluster($0))
    }
    try mailbox.attach(to: loop) { [unowned self] in receive($0) }
    cluster.start { [unowned self] in clusterChanged($0) }
    commands.start { [unowned self] in commandsChanged($0) }
    subscription.start { [unowned self] in subscriptionChanged($0) }
    sentinels?.start { [unowned self] in sentinelsSay($0) }
    endWaitInTime()
  }

  private func endWaitInTime() {
    let end = DispatchTime.now() + .nanoseconds(Int(timeout.nanoseconds))
    DispatchQueue.global().asyncAfter(deadline: end) { [post] in post(.waitIsOver) }
  }

  private func receive(_ message: Message) {
    switch message {
    case .ask(let requests): send(requests)
    case .commands(let message): commands.receive(message)
    case .subscription(let message): subscription.receive(message)
    case .cluster(let message): cluster.receive(message)
    case .metReplica:
      sentinels?.askAll()
      commands.renew(.isReplica)
    case .passwordChanged:
      commands.hurry()
      subscription.hurry()
      cluster.hurry()
      sentinels?.hurry()
    case .sentinels(let message): sentinels?.receive(message)
    case .waitIsOver:
      if availability.isStarting { lost(StoreError("not connected yet")) }
      if commands.isChanging { lost(StoreError("not connected to the new primary yet")) }
    case .close:
      commands.close()
      subscription.close()
      cluster.close()
      sentinels?.close()
      early = []
      loop.stop()
    }
  }

  private func send(_ requests: [RedisRequest]) {
    if cluster.topology != nil {
      for request in requests { cluster.add(request) }
      cluster.sendNow()
    } else if let connection = commands.connection {
      for request in requests { connection.add(request) }
      connection.sendNow()
    } else {
      do throws(StoreError) {
        try availability.check()
        early += requests
      } catch {
        for request in requests { request.answer(.failure(error)) }
      }
    }
  }

  private func commandsChanged(_ event: RedisConnector.Event) {
    switch event {
    case .opened:
      // Some that are no cluster say so by having no slots.
      let topology = commands.connection?.slots.flatMap { RedisTopology($0, from: server) }
      if let topology, !topology.shards.isEmpty {
        cluster.update(topology)
      } else if cluster.someNode == nil {
        cluster.close()
        reachable()
        // What the server before it was given last may not be there.
        if commands.isChanging { availability.recover() }
      }
      send(early)
      early = []
    // Whether a cluster can be asked, its nodes say.
    case .lost(let reason): if cluster.topology == nil { lost(reason) }
    case .redirected(let request, let error): cluster.redirect(request, error, from: server)
    case .published: break
    }
  }

  private func clusterChanged(_ event: RedisCluster.Event) {
    switch event {
    case .told(let topology): availability.update(topology)
    case .reachable: reachable()
    case .lost(let reason): lost(reason)
    case .recovered:
      availability.recover()
      // What others wait for may have been lost with a primary.
      changes.announceAll()
    }
  }

  private func reachable() {
    if !isUp { availability.opened() }
    isUp = true
  }

  private func lost(_ reason: StoreError) {
    isUp = false
    availability.lost(reason)
    failEarly(reason)
  }

  private func failEarly(_ reason: StoreError) {
    for request in early { request.answer(.failure(reason)) }
    early = []
  }

  /// Nothing more is sent to a server that is not the primary any more: it may still take what it will lose.
  private func sentinelsSay(_ event: RedisSentinels.Event) {
    switch event {
    case .named(let primary):
      if primary == server { return }
      if !server.isWithSentinels {
        log.info("the store's primary has moved", metadata: ["address": "\(primary.place)"])
      }
      (server, isUp) = (primary, false)
      let reason = StoreError("the primary has moved")
      commands.change(to: server, reason)
      subscription.change(to: server, reason)
      endWaitInTime()
    case .silent(let reason): lost(reason)
    }
  }

  private func subscriptionChanged(_ event: RedisConnector.Event) {
    switch event {
    case .opened:
      availability.subscribed()
      // Nobody knows what was missed.
      changes.announceAll()
    case .published(let payload): changes.announce(payload)
    case .redirected: break
    case .lost(let reason):
      // In a cluster every node tells of what is published at any.
      subscription.move(to: cluster.someNode ?? server)
      // Waits then last until their deadline; only who waits for a connection is told.
      if availability.lostSubscription(reason) { changes.announceAll() }
    }
  }
}
