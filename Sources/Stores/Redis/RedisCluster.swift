import Basics
import BrokerCore
import Dispatch
import IO
import Logging

/// The nodes of a cluster, on the store's loop: who has which slot, a connection to each, and what is sent again
/// because a slot has moved or has nobody for the moment.
final class RedisCluster {
  typealias Node = RedisTopology.Node

  /// What reaches the cluster from outside of the loop.
  enum Message: Sendable {
    case connector(Node, RedisConnector.Message)
    case told(by: Node, RedisRequest.Answer)
    case refresh
    case retry
    case recovered
  }

  private final class Member {
    let connector: RedisConnector
    /// An attempt to connect has failed, or the connection was lost, and there is no other yet.
    var isAway = false

    init(_ connector: RedisConnector) { self.connector = connector }

    var connection: RedisConnection? { connector.connection }
  }

  /// Who has what; nil while there is one server, or none is known.
  private(set) var topology: RedisTopology?
  private let loop: EventLoop
  private let settings: RedisSettings
  private let seed: RedisConnector
  private let places: RedisPlaces
  private let post: @Sendable (Message) -> Void
  private let log: Logger
  private var report: (Event) -> Void = { _ in }
  private var members: [Node: Member] = [:]
  /// What cannot be sent yet, and what is answered when its time is over.
  private var postponed: [(request: RedisRequest, answer: RedisRequest.Answer)] = []
  private var isAsking = false
  /// A node knows better than the topology.
  private var isStale = false
  private var timers: (retry: Bool, refresh: Bool, recovery: Bool) = (false, false, false)
  /// When `recovered` may be reported again.
  private var nextRecovery: Instant?

  /// How often a request is sent elsewhere without a pause. Nodes may disagree for a moment.
  private static let mostRedirections = 3
  /// How often a request is tried while its slot is on its way.
  private static let mostAttempts = 5
  private static let retryPause = Duration.milliseconds(10)
  private static let refreshPause = Duration.milliseconds(250)
  /// Nodes that disagree would tell again and again of a primary that has changed.
  private static let recoveryPause = Duration.seconds(1)
  /// More nodes than this are not connected to, whatever others say of them.
  private static let mostMembers = RedisTopology.mostShards

  enum Event {
    /// A node has told which has what.
    case told(RedisTopology)
    /// There is a node to talk to.
    case reachable
    /// There is none any more.
    case lost(StoreError)
    /// A primary is back, or another has taken its place: what was written last may be gone.
    case recovered
  }

  /// - Parameters:
  ///   - seed: the connection to the server of the settings, which is one of the nodes or leads to one.
  ///   - post: brings a message back to the loop and there to `receive`.
  init(
    _ settings: RedisSettings, seed: RedisConnector, places: RedisPlaces, on loop: EventLoop, log: Logger,
    post: @escaping @Sendable (Message) -> Void
  ) {
    self.settings = settings
    self.seed = seed
    self.places = places
    self.loop = loop
    self.log = log
    self.post = post
  }

  /// `report` is called on the loop, with each event.
  func start(report: @escaping (Event) -> Void) { self.report = report }

  func receive(_ message: Message) {
    switch message {
    case .connector(let node, let message): members[node]?.connector.receive(message)
    case .told(let node, let answer):
      isAsking = false
      // A node that knows of none was reset, or is new; another knows better.
      if case .success(let reply) = answer, let new = RedisTopology(reply, from: node), !new.shards.isEmpty {
        update(new)
      }
      refreshLater()
    case .refresh:
      timers.refresh = false
      if !isComplete { refresh() }
    case .retry:
      timers.retry = false
      retry()
    case .recovered:
      timers.recovery = false
      recovered()
    }
  }

  /// Ends all pauses between attempts to connect.
  func hurry() { for member in members.values { member.connector.hurry() } }

  func close() {
    for member in members.values { member.connector.close() }
    (topology, members, postponed) = (nil, [:], [])
    updatePlaces()
  }

  /// A node that can be talked to, any of them.
  var someNode: Node? { members.filter { $0.value.connection != nil }.keys.randomElement() }

  // MARK: Topology

  /// Takes over what a node has told.
  func update(_ new: RedisTopology) {
    let old = topology
    (topology, isStale) = (new, false)
    report(.told(new))
    for (node, member) in members where !new.contains(node) && member.connection?.isIdle != false {
      members[node] = nil
      member.connector.close()
    }
    for shard in new.shards where member(shard.primary)?.isAway == true { places.lost(shard.primary, in: new) }
    updatePlaces()
    retry()
    refreshLater()
    if let old, new.shards.contains(where: { old.isReplica($0.primary) }) { recovered() }
  }

  private func updatePlaces() {
    let isBack = places.update(topology, isOpen: { members[$0]?.connection != nil }, now: loop.now)
    if isBack { recovered() }
  }

  /// Reports it now, or at the end of a pause.
  private func recovered() {
    guard let next = nextRecovery, loop.now < next else {
      nextRecovery = loop.now.advanced(by: Self.recoveryPause)
      return report(.recovered)
    }
    if timers.recovery { return }
    timers.recovery = true
    after(loop.now.duration(to: next), .recovered)
  }

  /// nil where there are too many already.
  private func member(_ node: Node) -> Member? {
    if let member = members[node] { return member }
    if members.count >= Self.mostMembers { return nil }
    let connector = RedisConnector(.node(node), settings, on: loop) { [post] in post(.connector(node, $0)) }
    let member = Member(connector)
    members[node] = member
    connector.start { [unowned self, unowned member] in changed(member, node, $0) }
    return member
  }

  /// Whether each slot has a node that can be asked, and no node is left over.
  private var isComplete: Bool {
    guard let topology else { return true }
    return !isStale && topology.isWhole && topology.shards.allSatisfy { members[$0.primary]?.connection != nil }
      && members.keys.allSatisfy(topology.contains)
  }

  /// Asks a node who has what. The connection to the first server is as good as another.
  private func refresh() {
    var known = members.compactMap { node, member in member.connection.map { (node, $0) } }
    if let connection = seed.connection { known.append((settings.server, connection)) }
    guard !isAsking, let (node, connection) = known.randomElement() else { return refreshLater() }
    isAsking = true
    let deadline = loop.now.advanced(by: settings.timeout)
    connection.add(
      RedisRequest(RedisCommand("CLUSTER", "SLOTS", answer: .array), deadline: deadline) { [post] answer in
        post(.told(by: node, answer))
      })
    connection.sendNow()
  }

  private func refreshLater() {
    if timers.refresh || isComplete { return }
    timers.refresh = true
    after(Self.refreshPause, .refresh)
  }

  private func after(_ pause: Duration, _ message: Message) {
    DispatchQueue.global().asyncAfter(deadline: .now() + .nanoseconds(Int(pause.nanoseconds))) { [post] in
      post(message)
    }
  }

  // MARK: Requests

  /// Adds a request to what is sent by `sendNow`, for the node that has its slot.
  func add(_ request: RedisRequest) {
    guard let slot = request.slot, let shard = topology?.shard(of: slot) else {
      return postpone(request, .failure(.nobody))
    }
    add(request, of: shard)
  }

  func sendNow() { for member in members.values { member.connection?.sendNow() } }

  private func add(_ request: RedisRequest, of shard: RedisTopology.Shard) {
    guard let primary = member(shard.primary) else { return request.answer(.failure(.tooMany)) }
    if let connection = primary.connection { return connection.add(request) }
    if !primary.isAway { return postpone(request, .failure(.away)) }
    guard request.isRead else { return request.answer(.failure(.away)) }
    let replicas = shard.replicas.compactMap(member)
    if let connection = replicas.lazy.compactMap(\.connection).first {
      return connection.add(request, behind: .readOnly)
    }
    // A replica that is newer than the topology is known after the next answer.
    if !isStale, replicas.allSatisfy(\.isAway) { return request.answer(.failure(.away)) }
    postpone(request, .failure(.away))
  }

  private func postpone(_ request: RedisRequest, _ answer: RedisRequest.Answer) {
    postponed.append((request, answer))
    if timers.retry { return }
    timers.retry = true
    after(Self.retryPause, .retry)
  }

  private func retry() {
    let waiting = postponed
    postponed = []
    for (request, answer) in waiting {
      if loop.now >= request.deadline { request.answer(answer) } else { add(request) }
    }
    sendNow()
  }

  /// Sends a request where a node says that it belongs.
  func redirect(_ request: RedisRequest, _ error: String, from node: Node) {
    let answer = RedisRequest.Answer.success(.error(error))
    let redirection = RedisRedirection(error, from: node)
    if topology == nil {
      // It was no cluster, or had nothing, when it was asked.
      if redirection != .demoted { refresh() }
      return request.answer(answer)
    }
    request.note(error)
    // Nodes that send it to each other would never end.
    if loop.now >= request.deadline { return request.answer(answer) }
    switch redirection {
    case .moved(let slot, let target?):
      topology?.move(slot, to: target)
      isStale = true
      if request.redirect() > Self.mostRedirections { postpone(request, answer) } else { add(request) }
      sendNow()
      refresh()
    case .ask(let target?):
      // The slot's owner will answer with the same again.
      guard let member = member(target) else { return request.answer(answer) }
      let isPauseDue = request.redirect() % (Self.mostRedirections + 1) == 0
      guard !isPauseDue, let connection = member.connection else { return postpone(request, answer) }
      connection.add(request, behind: .asking)
      connection.sendNow()
    case .tryAgain:
      if request.redirect() < Self.mostAttempts { postpone(request, answer) } else { request.answer(answer) }
    case .demoted:
      isStale = true
      if request.redirect() < Self.mostAttempts { postpone(request, answer) } else { request.answer(answer) }
      refresh()
    case .down:
      isStale = true
      postpone(request, answer)
      refreshLater()
    case .moved, .ask, nil: request.answer(answer)
    }
  }

  // MARK: Nodes

  private func changed(_ member: Member, _ node: Node, _ event: RedisConnector.Event) {
    switch event {
    case .opened:
      if member.isAway { log.info("a node of the store is connected again", metadata: ["address": "\(node.place)"]) }
      member.isAway = false
      updatePlaces()
      report(.reachable)
      retry()
    case .lost(let reason):
      if !member.isAway {
        member.isAway = true
        log.warning(
          "a node of the store is out of reach", metadata: ["address": "\(node.place)", "reason": "\(reason.reason)"])
      }
      // Until there is another primary, reads go to the replicas.
      if let topology, let shard = topology.shards.first(where: { $0.primary == node }) {
        isStale = true
        places.lost(node, in: topology)
        _ = shard.replicas.compactMap(self.member)
      }
      retry()
      refresh()
      if members.values.allSatisfy(\.isAway) { report(.lost(reason)) }
    case .redirected(let request, let error): redirect(request, error, from: node)
    case .published: break
    }
  }
}

extension StoreError {
  fileprivate static let away = StoreError("the node of the cluster that has the key is out of reach")
  fileprivate static let tooMany = StoreError("the cluster names more nodes than are connected to")
  fileprivate static let nobody = StoreError("no node of the cluster has the key's slot")
}
