import Basics
import BrokerCore
import Dispatch
import IO
import Logging

/// The Sentinels of a primary, on the store's loop. Each has two connections: it is asked each second where the primary
/// is, and heard when it tells of a switch.
final class RedisSentinels {
  enum Event {
    /// This is the primary now.
    case named(RedisSettings.Server)
    /// None says where it is, and none has before.
    case silent(StoreError)
  }

  enum Message: Sendable {
    case connector(Int, RedisConnector.Message)
    case listener(Int, RedisConnector.Message)
    case knows(Int, epoch: RedisRequest.Answer)
    case names(Int, primary: RedisRequest.Answer)
    case ask
  }

  private struct Sentinel {
    let server: RedisSettings.Server
    let commands: RedisConnector
    let switches: RedisConnector
    var isAsked = false
    /// What it has answered to the first of two questions.
    var known = RedisRequest.Answer.failure(.unexpected)
    /// Why it cannot say where the primary is; nil while it can, or has not been asked.
    var problem: String?
  }

  /// Where Sentinels tell of switches.
  static let channel = "+switch-master"
  private static let interval = Duration.seconds(1)

  private let name: String
  private let loop: EventLoop
  private let timeout: Duration
  private let post: @Sendable (Message) -> Void
  private let log: Logger
  private var sentinels: [Sentinel]
  private var opinions: SentinelOpinions
  private var report: (Event) -> Void = { _ in }
  private var hasLoggedSilence = false
  private var isClosed = false

  /// nil where `settings` name no Sentinels. `post` brings a message back to the loop and there to `receive`.
  init?(
    _ settings: RedisSettings, on loop: EventLoop, log: Logger, post: @escaping @Sendable (Message) -> Void
  ) {
    guard case .primary(let name, let servers) = settings.server else { return nil }
    self.name = name
    self.loop = loop
    timeout = settings.timeout
    self.post = post
    self.log = log
    opinions = SentinelOpinions(of: servers.count)
    sentinels = servers.enumerated().map { index, server in
      let settings = settings.ofSentinel(server)
      return Sentinel(
        server: server,
        commands: RedisConnector(.sentinel, settings, on: loop) { post(.connector(index, $0)) },
        switches: RedisConnector(.switches, settings, on: loop) { post(.listener(index, $0)) })
    }
  }

  /// Begins to ask. `report` is called on the loop.
  func start(report: @escaping (Event) -> Void) {
    self.report = report
    for index in sentinels.indices {
      sentinels[index].commands.start { [unowned self] event in
        switch event {
        case .opened: ask(index)
        case .lost(let reason): failed(index, reason.reason)
        case .published, .redirected: break
        }
      }
      sentinels[index].switches.start { [unowned self] event in
        switch event {
        // Nobody knows what was missed.
        case .opened: ask(index)
        case .published(let payload): heard(payload, from: index)
        case .lost, .redirected: break
        }
      }
    }
    askLater()
  }

  func receive(_ message: Message) {
    if isClosed { return }
    switch message {
    case .connector(let index, let message): sentinels[index].commands.receive(message)
    case .listener(let index, let message): sentinels[index].switches.receive(message)
    case .knows(let index, let answer): sentinels[index].known = answer
    case .names(let index, let answer): answered(index, answer)
    case .ask:
      askAll()
      askLater()
    }
  }

  func askAll() { for index in sentinels.indices { ask(index) } }

  /// Ends all pauses between attempts to connect.
  func hurry() {
    for sentinel in sentinels {
      sentinel.commands.hurry()
      sentinel.switches.hurry()
    }
  }

  func close() {
    isClosed = true
    for sentinel in sentinels {
      sentinel.commands.close()
      sentinel.switches.close()
    }
  }

  private func askLater() {
    DispatchQueue.global().asyncAfter(deadline: .now() + .nanoseconds(Int(Self.interval.nanoseconds))) { [post] in
      post(.ask)
    }
  }

  // MARK: What one says

  private func ask(_ index: Int) {
    guard let connection = sentinels[index].commands.connection, !sentinels[index].isAsked else { return }
    sentinels[index].isAsked = true
    // The epoch comes first: where there is a switch between the two answers, the new address is believed only when it
    // is told again, and the old one no longer than that.
    let deadline = loop.now.advanced(by: timeout)
    connection.add(
      RedisRequest(RedisCommand("SENTINEL", "MASTER", name, answer: .texts), deadline: deadline) { [post] in
        post(.knows(index, epoch: $0))
      })
    connection.add(
      RedisRequest(
        RedisCommand("SENTINEL", "GET-MASTER-ADDR-BY-NAME", name, answer: .texts), deadline: deadline
      ) { [post] in post(.names(index, primary: $0)) })
    connection.sendNow()
  }

  private func answered(_ index: Int, _ answer: RedisRequest.Answer) {
    sentinels[index].isAsked = false
    let (known, named): (RedisReply, RedisReply)
    do throws(StoreError) {
      (known, named) = (try sentinels[index].known.get(), try answer.get())
    } catch {
      return failed(index, error.reason)
    }
    for case .error(let text) in [known, named] { return failed(index, problem(text)) }
    guard let epoch = Self.epoch(in: known), case .array(let words) = named,
      let primary = Self.server(words.compactMap(\.text))
    else { return failed(index, StoreError.unexpected.reason) }
    sentinels[index].problem = nil
    hasLoggedSilence = false
    opinions.note(primary, epoch: epoch, by: index, at: loop.now)
    report(.named(opinions.primary ?? primary))
  }

  /// The payload is the primary's name, its old host and port, and its new ones.
  private func heard(_ payload: [UInt8], from index: Int) {
    let words = String(decoding: payload, as: UTF8.self).split(separator: " ").map(String.init)
    guard words.count == 5, words[0] == name, let old = Self.server(words[1...2]), let new = Self.server(words[3...4])
    else { return }
    opinions.noteSwitch(from: old, to: new, by: index, at: loop.now)
    if let primary = opinions.primary { report(.named(primary)) }
    ask(index)
  }

  private func failed(_ index: Int, _ reason: String) {
    sentinels[index].problem = "\(sentinels[index].server.place): \(reason)"
    let problems = sentinels.compactMap(\.problem)
    guard problems.count == sentinels.count else { return }
    let reason = "no Sentinel says where the primary \(name) is: \(problems.joined(separator: "; "))"
    if opinions.primary == nil { return report(.silent(StoreError(reason))) }
    // The primary is where it was, as long as it answers.
    if !hasLoggedSilence { log.warning("the store's Sentinels are out of reach", metadata: ["reason": "\(reason)"]) }
    hasLoggedSilence = true
  }

  private func problem(_ text: String) -> String {
    let refusal = RedisRefusal(text)
    if refusal.isOfCommand, refusal.code != "NOPERM" { return "it is no Sentinel" }
    return refusal.error(of: "SENTINEL", otherwise: "it knows no primary called \(name)").reason
  }

  /// nil as well where it is none that switches could be counted on from.
  private static func epoch(in reply: RedisReply) -> Int? {
    guard case .array(let parts) = reply else { return nil }
    let words = parts.compactMap(\.text)
    guard let index = words.firstIndex(of: "config-epoch"), index + 1 < words.count,
      let epoch = Int(words[index + 1]), 0..<(1 << 62) ~= epoch
    else { return nil }
    return epoch
  }

  /// A host and a port. The host is only looked up, so all that matters is that it can be shown.
  private static func server(_ words: some Collection<String>) -> RedisSettings.Server? {
    guard words.count == 2, let host = words.first, let port = words.dropFirst().first.flatMap({ UInt16($0) }),
      (1...255).contains(host.utf8.count), host.utf8.allSatisfy({ 0x21...0x7E ~= $0 }), port > 0
    else { return nil }
    return .tcp(host: host, port: port)
  }
}

extension RedisSettings {
  /// How to speak to one of its Sentinels.
  fileprivate func ofSentinel(_ server: Server) -> RedisSettings {
    var settings = self
    settings.server = server
    settings.database = 0
    (settings.user, settings.password, settings.passwordFile) = (nil, sentinelPassword, sentinelPasswordFile)
    return settings
  }
}
