import Basics
import OAuth
import BrokerCore

/// One broker of the fleet: its process, and what its promises are checked against.
final class Replica {
  struct Caller {
    let key: TokenKey
    let demand: Demand
    let deadline: Instant
  }

  /// A request to the token endpoint, as `TokenSource` would carry it out.
  struct Job {
    let key: TokenKey
    var asked: Instant
    let deadline: Instant
    let incarnation: Int
    /// What it holds in the store meanwhile.
    var claim: StoreClaim?
    /// When it was let out.
    let admittedAt: Instant
    /// Which of the broker's credentials were there then.
    let admittedWith: Int
    /// Which of them it is sent with.
    var credentials = 0
    /// The tenant was asked, and not because a caller wants another token than the one that is held.
    var isOrdinary = false
    /// It would not have been sent had the brokers told each other all.
    var isVain = false
    /// It is over when the token that was held cannot be checked by then.
    var keysBy: Instant?
  }

  /// A minted token that waits for its keys.
  struct Unchecked {
    let token: SimulatedTenant.Token
    let asked: Instant
  }

  /// A key that is wanted from the tenant, and may have to wait for another broker's doing.
  struct Errand {
    var job: Job
    var fetch: SharedFetch
    /// Counts its waits, so that it is woken from each only once.
    var turn = 0
    /// It waits for what another broker does.
    var isWaiting = false
  }

  /// What a `TokenSource` knows of its tenant.
  final class Source {
    var keySet = FetchSchedule<Set<String>>()
    var held = HeldTokens<TokenKey, Unchecked>()
    let madeAt: Instant

    init(madeAt: Instant, after predecessor: Source? = nil) {
      self.madeAt = madeAt
      if let predecessor { held = predecessor.held }
    }
  }

  let number: Int
  var cache: TokenCache
  private var roster = UpstreamRoster<Source>()
  private(set) var source: Source
  /// Counts the configurations that differed from the one before.
  private var configuration = 0
  var keySet: FetchSchedule<Set<String>> {
    get { source.keySet }
    set { source.keySet = newValue }
  }
  /// Counts the credentials that it has been given.
  var credentials = 0
  /// Counts its lives.
  var incarnation = 0
  /// What the event loops hand out.
  var table: [TokenKey: CachedToken] = [:]
  /// Seconds by which its wall clock is ahead.
  var wallOffset = 0.0
  var alarmAt = Instant.distantFuture
  var keySetBusy = false
  var keySetAskedAt: Instant?
  var keySetFailed = false
  /// The server was heard to say that it wants no request for the key set before.
  var keySetLimitedUntil: Instant?
  /// When the key set was asked for lately.
  var keySetFetches: [Instant] = []
  /// Who waits for the key set: to check a token, or to ask for one.
  var waitingForKeys: [(job: Job, token: SimulatedTenant.Token?, quota: [QuotaBucket])] = []
  var errands: [TokenKey: Errand] = [:]

  // What the promises are checked against.
  var callers: [UInt64: Caller] = [:]
  var inFlight: Set<TokenKey> = []
  /// Tokens that the tenant has given since it last had too much to do.
  var borne = 0
  /// By this life's cache.
  var answered = 0
  /// Those of them that the tenant is asked for.
  var asking: Set<TokenKey> = []
  /// Until when a token that was minted, and could not be checked, must do for its key.
  var mustWait: [TokenKey: Instant] = [:]
  /// How often a token of the store has waited for the keys.
  var keyWaits: [TokenKey: Int] = [:]
  /// The offset of the clock that a key was refused by.
  var clockRefusals: [TokenKey: Double] = [:]
  var lastMint: [TokenKey: CachedToken] = [:]
  /// What is remembered may have had to make room.
  var forgetsUntil = Instant(nanoseconds: 0)
  var lastFailure: [TokenKey: (error: TokenError, at: Instant, streak: Int)] = [:]
  var forced: Set<TokenKey> = []
  var fetches: [Instant] = []
  var credentialsRefusedAt: Instant?
  /// The tenant was heard to say that nothing should come before, and when.
  var limitedUntil: Instant?
  var limitHeardAt = Instant(nanoseconds: 0)
  var outageFetches = 0
  var outageSince: Instant?
  var retryRatios: [Double] = []
  /// Keys that have yielded a token.
  var proven: Set<TokenKey> = []
  /// What each payer has made the tenant refuse of unproven keys, less what time has paid back.
  var refusals: [Payer: (count: Double, at: Instant)] = [:]

  init(_ number: Int, _ cache: TokenCache, now: Instant) {
    self.number = number
    self.cache = cache
    source = Source(madeAt: now)
    _ = configure(now)
  }

  /// The configuration is read again, and is another one if `isOther`. Returns the clients that are gone.
  func reload(isOther: Bool, now: Instant) -> Set<UpstreamID> {
    if isOther {
      configuration += 1
      // A new source knows nothing of when the old one asked, only what it holds.
      (keySetAskedAt, keySetLimitedUntil, keySetFetches) = (nil, nil, [])
    }
    return configure(now)
  }

  private func configure(_ now: Instant) -> Set<UpstreamID> {
    let client = OAuthClient.auth0(baseURL: "https://tenant.test", clientID: "broker", secrets: [Secret("s".utf8)])
    let spec = UpstreamSpec(
      client: client, connection: ServerConnection(timeout: .seconds(10 + configuration % 2)))
    let audiences = AudienceCatalog(listed: [:], other: .init(client: "default"))
    let change = roster.replace(with: [spec], audiences: audiences) { Source(madeAt: now, after: $1) }
    source = roster["default"] ?? source
    return change.retired
  }

  /// The process ends, and begins anew with nothing in memory.
  func restart(_ cache: TokenCache, now: Instant) {
    incarnation += 1
    (answered, borne) = (0, 0)
    self.cache = cache
    roster = UpstreamRoster()
    _ = configure(now)
    (keySetBusy, keySetAskedAt, keySetLimitedUntil, keySetFetches) = (false, nil, nil, [])
    (mustWait, keyWaits, clockRefusals) = ([:], [:], [:])
    (table, lastMint, lastFailure, callers) = ([:], [:], [:], [:])
    (inFlight, asking, forced, fetches, waitingForKeys, errands) = ([], [], [], [], [], [:])
    (credentialsRefusedAt, limitedUntil, outageSince) = (nil, nil, nil)
    (proven, refusals) = ([], [:])
    alarmAt = .distantFuture
  }
}
