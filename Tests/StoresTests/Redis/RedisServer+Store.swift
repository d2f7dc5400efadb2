import Basics
import BrokerCore
import Logging
import TestSupport

@testable import Stores

/// Debian's redis-server, and how a store speaks to it.
extension RedisServer {
  /// A store with these logs in as the user of docs/fleet.md, and asks nothing that a test does not ask. There is time
  /// enough for a machine that has much else to do.
  var settings: RedisSettings {
    var settings = anonymousSettings
    settings.user = Self.user
    settings.password = Secret(Self.password.utf8)
    return settings
  }

  /// The same without a login.
  var anonymousSettings: RedisSettings {
    var settings = RedisSettings(.unix(path: socket))
    settings.timeout = .seconds(20)
    settings.connectTimeout = .seconds(20)
    settings.trialInterval = nil
    return settings
  }

  func store(_ change: (inout RedisSettings) -> Void = { _ in }) throws -> RedisStore {
    var settings = settings
    change(&settings)
    return try RedisStore(settings, log: .silent)
  }
}

extension FakeRedis {
  /// A store with these asks nothing that a test does not ask.
  var settings: RedisSettings {
    var settings = RedisSettings(.unix(path: socket))
    settings.trialInterval = nil
    return settings
  }
}

extension Logger {
  static var silent: Logger { Logger(label: "test") { _ in SwiftLogNoOpLogHandler() } }
}

extension StoreName {
  /// A name of 32 equal bytes.
  init(_ byte: UInt8) { self.init([UInt8](repeating: byte, count: 32)) }
}

extension StoreAnswer {
  var claim: StoreClaim? {
    if case .granted(let claim) = outcome { return claim }
    return nil
  }

  /// How long somebody else has it.
  var taken: Duration? {
    if case .taken(let rest) = outcome { return rest }
    return nil
  }
}
