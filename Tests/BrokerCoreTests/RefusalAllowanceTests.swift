import Basics
import OAuth
import Testing

@testable import BrokerCore

/// What `TokenCache` lets its callers make a tenant refuse.
@Suite struct RefusalAllowanceTests {
  private let start = Instant(nanoseconds: 1_000_000_000_000)
  private let unknown = TokenError(cause: .unknownAudience, message: "unknown")
  private var cache = TokenCache()
  private var lastWaiter: UInt64 = 0

  private func at(_ seconds: Double) -> Instant { start.advanced(by: .seconds(seconds)) }
  private func key(_ audience: String, _ client: UpstreamID = "default") -> TokenKey {
    TokenKey(client: client, grant: Grant(audience: audience))
  }

  private mutating func ask(_ key: TokenKey, _ payer: Payer?, at seconds: Double = 0) -> [TokenCache.Action] {
    lastWaiter += 1
    return cache.request(
      key, Demand(), waiter: lastWaiter, payer: payer, deadline: at(seconds + 30), now: at(seconds))
  }

  private func isFetch(_ actions: [TokenCache.Action]) -> Bool { actions.contains { $0.said == "fetch" } }

  /// Has the tenant refuse so many made-up audiences at the payer's expense.
  private mutating func refuse(_ count: Int, _ payer: Payer, _ client: UpstreamID = "default") {
    for _ in 0..<count {
      let key = key("made up \(lastWaiter)", client)
      #expect(isFetch(ask(key, payer)))
      _ = cache.fetched(key, .failure(unknown), now: start)
    }
  }

  /// How an unproven key of the payer's fares: `fetch`, or the error.
  private mutating func outcome(
    _ payer: Payer?, _ audience: String = "new", _ client: UpstreamID = "default", at seconds: Double = 0
  ) -> String {
    let said = ask(key(audience, client), payer, at: seconds).map(\.said).first ?? ""
    return said == "fetch" ? said : String(said.drop { $0 != "=" }.dropFirst())
  }

  /// A tenant that answers after a tenth of a second, and knows what is called good.
  private struct Tenant {
    private var fetches: [(key: TokenKey, at: Double)] = []
    private(set) var requests = 0

    mutating func take(_ actions: [TokenCache.Action], at seconds: Double) {
      for case .fetch(let key) in actions {
        requests += key.audience.hasPrefix("good") ? 0 : 1
        fetches.append((key, seconds + 0.1))
      }
    }

    mutating func due(at seconds: Double) -> [TokenKey] {
      let due = fetches.prefix { $0.at <= seconds }.map(\.key)
      fetches.removeFirst(due.count)
      return due
    }
  }

  @Test("Six thousand made-up audiences cost the tenant 130 requests, and another caller's thousand good ones come")
  mutating func flood() {
    var tenant = Tenant()
    var (good, told) = (0, 0)
    func note(_ actions: [TokenCache.Action]) {
      for case .answer(_, let result) in actions {
        switch result {
        case .success: good += 1
        case .failure(let error) where error.cause == .allowanceUsedUp: told += error.retryAfter == nil ? 0 : 1
        case .failure: break
        }
      }
    }
    for tick in 0..<1300 {
      let seconds = Double(tick) / 100
      var actions = cache.advance(now: at(seconds))
      for key in tenant.due(at: seconds) {
        let result: Result<MintedToken, TokenError> =
          key.audience.hasPrefix("good") ? .success(mintedToken(at: at(seconds))) : .failure(unknown)
        actions += cache.fetched(key, result, now: at(seconds))
      }
      if tick < 1000 {
        for number in 0..<6 { actions += ask(key("made up \(tick) \(number)"), .caller("broken"), at: seconds) }
        actions += ask(key("good \(tick)"), .caller("other"), at: seconds)
      }
      note(actions)
      tenant.take(actions, at: seconds)
    }
    #expect((100...130).contains(tenant.requests), "\(tenant.requests)")
    #expect(good == 1000)
    #expect(told == 6000 - tenant.requests)
  }

  @Test("When an allowance is used up, only unproven keys of this payer at this client are refused, for a while")
  mutating func usedUp() {
    refuse(100, .caller("a"))
    #expect(outcome(.caller("a")) == "allowance_used_up")
    #expect(outcome(.caller("b"), "b") == "fetch" && outcome(.anyone, "c") == "fetch")
    #expect(outcome(nil, "listed") == "fetch")
    #expect(outcome(.caller("a"), "d", "another") == "fetch")
    #expect(outcome(.caller("a"), at: 1.001) == "fetch")
  }

  @Test("The wait that is told is until one more may be asked for")
  mutating func retryAfter() throws {
    refuse(100, .anyone)
    guard case .answer(_, .failure(let error))? = ask(key("new"), .anyone).first else {
      return #expect(Bool(false), "not answered")
    }
    #expect(error.cause == .allowanceUsedUp && error.retryAfter == .seconds(1))
    #expect(cache.count == 100, "nothing is remembered of it")
  }

  @Test("Who waits for a turn when the allowance is used up is told at once, and other payers' keys keep their places")
  mutating func queued() {
    var rules = TokenCache.Rules()
    (rules.client.maxConcurrent, rules.refusalBurst) = (1, 1)
    cache = TokenCache(rules: rules)
    #expect(isFetch(ask(key("first"), .caller("a"))))
    for _ in 0..<3 { #expect(ask(key("queued"), .caller("a")).isEmpty) }
    #expect(ask(key("good"), .caller("b")).isEmpty)
    let actions = cache.fetched(key("first"), .failure(unknown), now: start).map(\.said)
    let told = (2...4).map { "\($0)=allowance_used_up" }
    #expect(actions == ["1=unknown_audience"] + told + ["fetch"])
  }

  @Test("Who waits beside another payer for a key that is being asked for gets the answer, and does not pay")
  mutating func coalesced() {
    refuse(100, .caller("a"))
    #expect(isFetch(ask(key("x"), .caller("b"))))
    #expect(ask(key("x"), .caller("a")).isEmpty)
    #expect(cache.fetched(key("x"), .success(mintedToken(at: start)), now: start).count == 3)
  }

  @Test("What has yielded a token never waits for an allowance, even when its entry is gone")
  mutating func proven() {
    #expect(isFetch(ask(key("good"), .anyone)))
    _ = cache.fetched(key("good"), .success(mintedToken(at: start, lifetime: 100)), now: start)
    _ = cache.advance(now: at(1000))
    #expect(cache.count == 0)
    refuse(100, .anyone)
    #expect(outcome(.anyone, "good") == "fetch")
  }

  @Test("Whoever brings accepted credentials pays for each token that is new, and for none that it has had")
  mutating func holder() {
    let holder = SHA256Digest(of: [1].span)
    func key(_ number: Int) -> TokenKey {
      TokenKey(client: "default", grant: Grant(audience: "\(number)"), holder: holder)
    }
    let minted = mintedToken(at: start, lifetime: 100)
    for number in 0..<100 {
      #expect(isFetch(ask(key(number), .holder(holder))))
      _ = cache.fetched(key(number), .success(minted), now: start)
    }
    #expect(ask(key(100), .holder(holder)).map(\.said).first?.hasSuffix("=allowance_used_up") == true)
    #expect(isFetch(ask(key(0), .holder(holder), at: 99)), "a newer one of those costs nothing")
    #expect(outcome(.caller("a"), at: 99) == "fetch", "and others ask as before")
  }

  @Test("What is refused of a key that has yielded a token is not charged")
  mutating func revokedGrant() {
    cache = TokenCache()
    for number in 0..<200 {
      let key = key("good \(number)")
      #expect(isFetch(ask(key, .anyone)))
      _ = cache.fetched(key, .success(mintedToken(at: start, lifetime: 10)), now: start)
      #expect(isFetch(ask(key, .anyone, at: 20)))
      _ = cache.fetched(key, .failure(unknown), now: at(20))
    }
    #expect(outcome(.anyone, at: 20) == "fetch")
  }

  @Test(
    "Only what the tenant refuses is charged, and no trouble of its own or of the broker's",
    arguments: TokenError.Cause.allCases)
  mutating func causes(_ cause: TokenError.Cause) {
    let charged: [TokenError.Cause] = [
      .unknownAudience, .audienceNotGranted, .unknownOrganization, .invalidCaller, .invalidUpstreamResponse,
    ]
    let error = TokenError(cause: cause, message: "why")
    for isHeld in [false, true] {
      let holder = isHeld ? SHA256Digest(of: Array("x".utf8).span) : nil
      let key = TokenKey(client: "default", grant: Grant(audience: "x"), holder: holder)
      #expect(error.isCharged(to: key) == (charged.contains(cause) || isHeld && cause == .brokerMisconfigured))
    }
  }

  @Test("With a store, what another broker has got is taken from there, used up or not")
  mutating func stored() {
    cache = TokenCache(hasStore: true)
    for _ in 0..<101 {
      let key = key("made up \(lastWaiter)")
      if lastWaiter < 100 {
        #expect(ask(key, .anyone).map(\.said) == ["fetch"])
        _ = cache.fetched(key, .failure(unknown), now: start)
      } else {
        #expect(ask(key, .anyone).map(\.said) == ["load"])
        #expect(cache.loaded(key, SharedFinding(), now: start).map(\.said) == ["101=allowance_used_up"])
      }
    }
    #expect(ask(key("good"), .anyone).map(\.said) == ["load"])
    let found = SharedFinding(token: mintedToken(at: start.advanced(by: .seconds(-60)), isFromStore: true))
    #expect(cache.loaded(key("good"), found, now: start).map(\.said) == ["publish t", "102=t"])
  }

  @Test("However many payers there are, a thousand are told apart, and the rest share an allowance")
  mutating func bounded() {
    var rules = TokenCache.Rules()
    rules.refusalBurst = 1
    var allowances = RefusalAllowances(rules)
    for number in 0..<1000 { allowances.charge(.caller("\(number)"), "default", now: start) }
    #expect(allowances.wait(.caller("1000"), "default", now: start) == nil)
    allowances.charge(.caller("1000"), "default", now: start)
    #expect(allowances.wait(.caller("1001"), "default", now: start) != nil)
    allowances.charge(.caller("1000"), "default", now: at(60))
    #expect(allowances.wait(.caller("1001"), "default", now: at(60)) == nil, "those that are idle have made room")
  }

  // MARK: Credentials that were never accepted

  private func newcomer(_ id: String, at source: String) -> Payer { .newcomer(clientID: id, source: source) }

  /// Charges so many refusals, each of another client id, to a place; as many of them as it may cause.
  private func guess(_ allowances: inout RefusalAllowances, _ count: Int, at source: String) -> Int {
    (0..<count).count { number in
      let payer = newcomer("made up \(number)", at: source)
      guard allowances.wait(payer, "default", now: start) == nil else { return false }
      allowances.charge(payer, "default", now: start)
      return true
    }
  }

  @Test("Whoever makes up client ids in one place gets a quarter of what there is, and newcomers elsewhere go on")
  func oneSource() {
    var allowances = RefusalAllowances(.init())
    #expect(guess(&allowances, 1000, at: "a") == 25)
    #expect(allowances.wait(newcomer("new", at: "a"), "default", now: start) == .seconds(4))
    #expect(allowances.wait(newcomer("new", at: "b"), "default", now: start) == nil)
    #expect(allowances.wait(newcomer("new", at: "a"), "other client", now: start) == nil)
  }

  @Test("However many places newcomers come from, together they cost no more than one caller may")
  func manySources() {
    var allowances = RefusalAllowances(.init())
    #expect((0..<100).reduce(0) { $0 + guess(&allowances, 10, at: "\($1)") } == 100)
    #expect(allowances.wait(newcomer("new", at: "new"), "default", now: start) == .seconds(1))
    #expect(allowances.wait(.caller("a"), "default", now: start) == nil)
  }

  @Test("One client id that is refused again and again leaves something for the others in its place")
  func oneClientID() {
    var allowances = RefusalAllowances(.init())
    for _ in 0..<10 { allowances.charge(newcomer("id", at: "a"), "default", now: start) }
    #expect(allowances.wait(newcomer("id", at: "a"), "default", now: start) == .seconds(6))
    #expect(allowances.wait(newcomer("other", at: "a"), "default", now: start) == nil)
    #expect(allowances.wait(newcomer("id", at: "b"), "default", now: start) == nil)
  }

  @Test("Newcomers that wait for their turn are told at once when the last that all had is used up")
  mutating func queuedNewcomers() {
    var rules = TokenCache.Rules()
    (rules.client.maxConcurrent, rules.refusalBurst) = (1, 1)
    cache = TokenCache(rules: rules)
    #expect(isFetch(ask(key("first"), newcomer("a", at: "a"))))
    #expect(ask(key("second"), newcomer("b", at: "b")).isEmpty)
    let actions = cache.fetched(key("first"), .failure(unknown), now: start).map(\.said)
    #expect(actions == ["1=unknown_audience", "2=allowance_used_up"])
  }
}
