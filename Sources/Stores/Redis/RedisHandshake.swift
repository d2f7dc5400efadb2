import BrokerCore
import IO

/// What a new connection begins with: who we are, which database, and proof that the server answers.
struct RedisHandshake {
  enum Step { case login, select, setName, slots, ping, subscribe }

  private let settings: RedisSettings
  /// The steps before the last, which are sent together.
  let first: [Step]
  /// The step that makes the connection one for commands, or one that hears of changes; sent when all else is answered.
  let last: Step

  init(_ settings: RedisSettings, for purpose: RedisConnector.Purpose) {
    self.settings = settings
    if case .changes = purpose { last = .subscribe } else { last = .ping }
    var first: [Step] = []
    if settings.password != nil { first.append(.login) }
    if settings.database != 0 { first.append(.select) }
    first.append(.setName)
    if case .commands = purpose { first.append(.slots) }
    self.first = first
  }

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
    case .subscribe: output.append(RedisCommand("SUBSCRIBE", settings.channel).formatted)
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
