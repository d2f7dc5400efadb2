package import Basics
package import BrokerCore

/// One history to be played: what the keys are like, and what happens when. All of it follows from the seed.
package struct Scenario: Sendable {
  /// Seconds of virtual time since the start.
  package typealias Seconds = Double

  package enum Step: Sendable {
    /// So many callers ask for a key at once; each waits at most `patience`.
    case call(key: Int, callers: Int, ask: Ask, patience: Seconds)
    /// Callers on loops that find a token in their table.
    case fault(Fault, lasting: Seconds)
    /// The tenant signs with a new key; the old one is withdrawn from the key set, or published on.
    case rotateKey(revoking: Bool)
    /// The broker looks at the key set, as it does from time to time.
    case pollKeySet
    /// The time when it must have been noticed that the tenant published just these keys at that instant.
    case revocationIsDue(revoked: Instant, published: [String])
    /// The configuration is read again, and is another one or the same.
    case reload(isOther: Bool)
    /// The broker's wall clock is set, forward or back.
    case stepWallClock(Seconds)
    /// The broker's process starts anew, with nothing in memory.
    case restart
    /// The broker is given other credentials.
    case changeCredentials
    /// A caller asks for so many audiences that the tenant does not know.
    case flood(strangers: Int, payer: Int)
    case troubleStore(StoreTrouble, lasting: Seconds)
  }

  package enum StoreKind: CaseIterable, Sendable {
    /// A server.
    case server
    /// Several, each with a part of the keys.
    case cluster
    /// A database in a file: it loses nothing, and tells of nothing.
    case file
  }

  package enum StoreTrouble: Equatable, Sendable {
    case isDown, isSlow
    /// It can be read, and nothing else.
    case isReadOnly
    /// All that was in it is gone.
    case loses
    /// What one of its parts had is gone.
    case losesPart(Int)
    /// One of its parts is out of reach.
    case lacksPart(Int)
    /// What it is given from now on does not get to its replica, which will take its place.
    case fallsBehind
    /// The replica takes its place.
    case failsOver
    /// Two primaries take themselves for the only one: claims are granted that somebody has.
    case grantsTwice
    /// It takes what it is given, and has nothing of it afterwards.
    case forgets
    /// It has what was there before.
    case repeatsItself
    /// Nobody hears of changes.
    case isDeaf
  }

  package enum Ask: Sendable {
    case any, fresh
    case lasting(Seconds)
  }

  package enum Fault: Sendable {
    /// Every request fails after a while.
    case outage
    /// Requests fail now and then.
    case flaky
    /// Something else than the token endpoint answers now and then.
    case glitches
    /// More requests than so many a minute are refused, and told when to come back, or not.
    case limit(perMinute: Int, isAnnounced: Bool)
    case refusesCredentials
    /// The key set cannot be read.
    case noKeySet
    /// The key set cannot be read, and the server says to come back in a minute.
    case limitsKeySet
    /// Tokens are signed with keys that nobody publishes.
    case foreignKeys
    /// A key's grant is withdrawn.
    case denies(key: Int)
    case slow
  }

  /// An allotment that the tenant tells of with each token.
  package struct Quota: Sendable {
    package let perHour: Int
    /// Beyond it requests are refused; else it is only watched.
    package let isEnforced: Bool
    /// It is the organization's that half of the keys are for.
    package let isOfOrganization: Bool
  }

  package struct Event: Sendable {
    package let at: Seconds
    package let step: Step
    /// To which broker it happens.
    package var replica = 0
  }

  package let seed: UInt64
  /// The lifetimes of the keys' tokens.
  package let lifetimes: [Seconds]
  package let quota: Quota?
  /// Brokers in the fleet; with a store there may be several.
  package let replicas: Int
  package let hasStore: Bool
  package var storeKind = StoreKind.server
  package let rules: TokenCache.Rules
  /// Nothing goes wrong any more from here on.
  package let calmFrom: Seconds
  package let end: Seconds
  package var events: [Event]

  init(
    seed: UInt64, lifetimes: [Seconds], quota: Quota?, replicas: Int, hasStore: Bool, rules: TokenCache.Rules,
    calmFrom: Seconds, end: Seconds, events: [Event]
  ) {
    (self.seed, self.lifetimes, self.quota) = (seed, lifetimes, quota)
    (self.replicas, self.hasStore, self.rules) = (replicas, hasStore, rules)
    (self.calmFrom, self.end, self.events) = (calmFrom, end, events)
  }

  /// With `isFleet` of up to three brokers and a store that they share, which has troubles of its own.
  package init(seed: UInt64, isFleet: Bool = false) {
    var random = SeededGenerator(seed: seed)
    self.seed = seed
    let count = Int.random(in: 1...12, using: &random)
    lifetimes = (0..<count).map { _ in random.pick([10, 60, 300, 3600, 36_000, 86_400, 2_592_000]) }
    let longest = lifetimes.reduce(0, max)
    calmFrom = longest * Double.random(in: 0.5...4, using: &random)
    end = calmFrom + 4000 + longest / 2
    quota =
      Int.random(in: 0..<3, using: &random) == 0
      ? Quota(
        perHour: .random(in: 2...40, using: &random), isEnforced: .random(using: &random),
        isOfOrganization: .random(using: &random)) : nil
    var rules = TokenCache.Rules()
    rules.maxEntries = 64
    rules.maxWaiters = 400
    rules.refusalsPerMinute = 20
    rules.refusalBurst = 10
    (rules.client.firstConcurrent, rules.client.maxConcurrent) = (4, 12)
    rules.client.mintsPerMinute = 120
    rules.client.monthlyMints = 1_000_000
    if Int.random(in: 0..<4, using: &random) == 0 {
      rules.refreshBefore = .seconds(Int.random(in: 1...7200, using: &random))
    }
    self.rules = rules

    var events: [Event] = []
    for _ in 0..<Int.random(in: 30...160, using: &random) {
      events.append(Self.call(at: .random(in: 0..<end, using: &random), keys: count, &random))
    }
    // Stretches of steady use, in which nothing may be noticed.
    for _ in 0..<Int.random(in: 0...3, using: &random) {
      let key = Int.random(in: 0..<count, using: &random)
      let start = Double.random(in: 0..<calmFrom, using: &random)
      let pause = lifetimes[key] / 40
      for index in 0..<60 {
        events.append(
          Event(
            at: start + Double(index) * pause * .random(in: 0.5...1.5, using: &random),
            step: .call(key: key, callers: 1, ask: .any, patience: 30)))
      }
    }
    for _ in 0..<Int.random(in: 0...8, using: &random) {
      let at = Double.random(in: 0..<calmFrom, using: &random)
      let trouble = Self.trouble(keys: count, before: calmFrom - at, &random)
      events.append(Event(at: at, step: trouble))
      guard case .flood = trouble else { continue }
      // Others who ask for something new meanwhile.
      for _ in 0..<4 {
        events.append(
          Event(
            at: at + .random(in: 0..<20, using: &random),
            step: .flood(strangers: 1, payer: .random(in: 0..<4, using: &random))))
      }
    }
    for _ in 0..<Int.random(in: 0...3, using: &random) {
      // The tenant's keys matter where tokens were just minted, or are held and revoked.
      let after = random.pick(events).at + Self.pow10(.random(in: 0...2, using: &random))
      events.append(Event(at: after, step: .reload(isOther: .random(using: &random))))
    }
    for _ in 0..<Int.random(in: 0...2, using: &random) {
      // Credentials matter where a request is under way.
      let after = random.pick(events).at + .random(in: 0.01...0.4, using: &random)
      events.append(Event(at: after, step: .changeCredentials))
    }
    for key in 0..<count {
      // After the time in which all must be whole again.
      events.append(
        Event(at: end - 1 - Double(key) / 100, step: .call(key: key, callers: 1, ask: .any, patience: 30)))
    }
    hasStore = isFleet
    replicas = isFleet ? Int.random(in: 1...3, using: &random) : 1
    if isFleet {
      for _ in 0..<Int.random(in: 0...4, using: &random) {
        let at = Double.random(in: 0..<calmFrom, using: &random)
        let trouble = random.pick([StoreTrouble.isDown, .isSlow, .loses, .forgets, .repeatsItself, .isDeaf])
        let lasting = min(calmFrom - at, Self.pow10(.random(in: 0...4, using: &random)))
        events.append(Event(at: at, step: .troubleStore(trouble, lasting: lasting)))
      }
      for index in events.indices { events[index].replica = Int.random(in: 0..<replicas, using: &random) }
    }
    if isFleet {
      var random = SeededGenerator(seed: seed ^ 0x73_746f_7265)
      storeKind = random.pick(StoreKind.allCases)
      events = storeKind.kept(events) + storeKind.troubles(before: calmFrom, &random)
    }
    events += Self.keyTroubles(seed: seed, first: events.map(\.at).min() ?? 0, keys: count, before: calmFrom, replicas)
    self.events = events.sorted { $0.at < $1.at }
  }

  private static func call(at: Seconds, keys: Int, _ random: inout SeededGenerator) -> Event {
    let ask: Ask =
      switch Int.random(in: 0..<10, using: &random) {
      case 0: .fresh
      case 1: .lasting(.random(in: 1...100_000, using: &random))
      default: .any
      }
    let callers = Int.random(in: 0..<5, using: &random) == 0 ? Int.random(in: 2...40, using: &random) : 1
    let patience = random.pick([0.2, 5, 30])
    return Event(
      at: at, step: .call(key: .random(in: 0..<keys, using: &random), callers: callers, ask: ask, patience: patience))
  }

  private static func trouble(keys: Int, before left: Seconds, _ random: inout SeededGenerator) -> Step {
    let lasting = min(left, pow10(.random(in: 0...5, using: &random)))
    switch Int.random(in: 0..<16, using: &random) {
    case 0, 1: return .fault(.outage, lasting: lasting)
    case 2: return .fault(.flaky, lasting: lasting)
    case 3:
      return .fault(
        .limit(perMinute: .random(in: 0...5, using: &random), isAnnounced: .random(using: &random)), lasting: lasting)
    case 4: return .fault(.refusesCredentials, lasting: lasting)
    case 5: return .fault(.noKeySet, lasting: lasting)
    case 6: return .fault(.foreignKeys, lasting: lasting)
    case 7: return .fault(.denies(key: .random(in: 0..<keys, using: &random)), lasting: lasting)
    case 8: return .fault(.slow, lasting: lasting)
    case 9: return .rotateKey(revoking: .random(using: &random))
    case 10: return .stepWallClock(.random(in: -7200...7200, using: &random))
    case 11: return .restart
    case 12: return .changeCredentials
    case 13: return .fault(.glitches, lasting: lasting)
    default: return .flood(strangers: random.pick([5, 50, 1000]), payer: .random(in: 0..<4, using: &random))
    }
  }

  private static func pow10(_ exponent: Double) -> Double {
    var power = 1.0
    for _ in 0..<Int(exponent) { power *= 10 }
    return power * (1 + (exponent - Double(Int(exponent))) * 9)
  }
}
