import BrokerCore
import IO

/// What a new connection begins with: who we are, which database, and proof that the server answers.
struct RedisHandshake {
  enum Step: Equatable {
    case login, select, setName, slots, proveWritable, ping
    /// To this channel.
    case subscribe(String)
  }

  private let settings: RedisSettings
  /// The steps before the last, which are sent together.
  let first: [Step]
  /// The step that makes the connection one for commands, or one that hears of changes; sent when all else is answered.
  let last: Step

  init(_ settings: RedisSettings, for purpose: RedisConnector.Purpose) {
    self.settings = settings
    switch purpose {
    case .changes: last = .subscribe(settings.channel)
    case .switches: last = .subscribe(RedisSentinels.channel)
    case .commands, .node, .primary, .sentinel: last = .ping
    }
    var first: [Step] = []
    if settings.password != nil { first.append(.login) }
    if settings.database != 0 { first.append(.select) }
    first.append(.setName)
    if case .commands = purpose { first.append(.slots) }
    if case .primary = purpose { first.append(.proveWritable) }
    self.first = first
  }

  /// Whether the connection can do nothing but hear what is published.
  var isSubscription: Bool { if case .subscribe = last { true } else { false } }

  func append(_ step: Step, to output: inout ByteBuffer) {
    switch step {
    case .login:
      if let password = settings.password {
        RedisCommand.authenticate(user: settings.user, password: password, to: &output)
      }
    case .select: output.append(RedisCommand("SELECT", "\(settings.database)").formatted)
    case .setName: output.append(RedisCommand("CLIENT", "SETNAME", "token-broker").formatted)
    case .slots: output.append(RedisCommand("CLUSTER", "SLOTS").formatted)
    case .ping: output.append(RedisCommand("PING").formatted)
    // Nothing is there to be deleted, and only a primary would do it. ROLE would ask for one more right.
    case .proveWritable: output.append(RedisCommand("DEL", "\(settings.prefix)primary").formatted)
    case .subscribe(let channel): output.append(RedisCommand("SUBSCRIBE", channel).formatted)
    }
  }

  /// Throws what is wrong with a reply.
  func check(_ reply: RedisReply, to step: Step) throws(StoreError) {
    switch (step, reply) {
    case (.login, .error(let text)):
      throw RedisRefusal(text).error(of: "AUTH", otherwise: "the password is wrong, or none is expected")
    case (.select, .error(let text)):
      throw RedisRefusal(text).error(of: "SELECT \(settings.database)", otherwise: "there is no such database")
    case (.setName, .error(let text)):
      // The name only helps people who read the server's list of clients.
      if !RedisRefusal(text).isOfCommand { throw RedisRefusal(text).error(of: "the connection") }
    // One server, or a user who may not ask; what else is wrong the next step shows.
    case (.slots, .error), (.slots, .array): return
    case (.proveWritable, .error(let text)):
      // Whatever else is wrong is for the operation that meets it.
      let refusal = RedisRefusal(text)
      if ["READONLY", "MASTERDOWN"].contains(refusal.code) { throw refusal.error(of: "the connection") }
    case (.proveWritable, .integer): return
    case (.ping, .error(let text)): throw RedisRefusal(text).error(of: "PING")
    case (.subscribe, .error(let text)): throw RedisRefusal(text).error(of: "SUBSCRIBE")
    case (.login, .status), (.select, .status), (.setName, .status), (.ping, .status): return
    // The answer of a connection that is subscribed.
    case (.ping, .array(let parts)) where parts.first == .string(Array("pong".utf8)): return
    case (.subscribe, .array(let parts)) where parts.first == .string(Array("subscribe".utf8)): return
    default: throw .unexpected
    }
  }
}
