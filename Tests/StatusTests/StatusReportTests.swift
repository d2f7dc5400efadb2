import Basics
import Foundation
import Testing

@testable import OAuth
@testable import BrokerCore
@testable import Status
@testable import Telemetry

/// A cache that is played with, and the report of it.
private struct Scene {
  private let start = Instant(nanoseconds: 1_000_000_000_000)
  private var cache: TokenCache
  private var waiter: UInt64 = 0
  var traffic: [Traffic.Minute] = []
  var listed: [TokenKey] = []
  var callers: Set<String>?
  var usage: [CallerUsage.Row] = []
  var denials: [Denial] = []
  var isDraining = false
  var assertion: AssertionStatus?
  var figures = BrokerFigures()
  /// nil: it is there from the start.
  var secretSince: Instant?
  var dependencies: DependencyFigures?
  var keySet = KeySetStatus(keys: [.init(id: "k1", algorithm: "RS256")], fetchedAt: nil, problem: nil, nextFetch: nil)

  init(_ change: (inout TokenCache.Rules) -> Void = { _ in }) {
    var rules = TokenCache.Rules()
    change(&rules)
    cache = TokenCache(rules: rules, seed: 1)
  }

  static func key(_ audience: String, scope: String? = nil, client: UpstreamID = "default") -> TokenKey {
    TokenKey(client: client, grant: Grant(audience: audience, scope: scope))
  }

  func at(_ seconds: Double) -> Instant { start.advanced(by: .seconds(seconds)) }

  mutating func ask(_ key: TokenKey, at seconds: Double) {
    waiter += 1
    _ = cache.request(key, Demand(), waiter: waiter, deadline: at(seconds + 30), now: at(seconds))
  }

  /// Asks for a token that is newer than the one that is held.
  mutating func insist(_ key: TokenKey, at seconds: Double) {
    waiter += 1
    let demand = Demand(freshness: .new)
    _ = cache.request(key, demand, waiter: waiter, deadline: at(seconds + 30), now: at(seconds))
  }

  mutating func mint(_ key: TokenKey, lifetime: Double = 86400, at seconds: Double) {
    let token = MintedToken(
      accessToken: AccessToken("eyJ-never-shown"), scope: nil, keyID: "k1", mintedAt: at(seconds),
      expiresAt: at(seconds + lifetime), quota: [], upstreamRequestID: nil)
    _ = cache.fetched(key, .success(token), now: at(seconds))
  }

  mutating func fail(
    _ key: TokenKey, _ code: TokenError.Cause, saying words: (error: String, description: String)? = nil,
    retryAfter: Duration? = nil, at seconds: Double
  ) {
    var error = TokenError(cause: code, message: "it is \(code.rawValue)", retryAfter: retryAfter)
    error.evidence = words.flatMap { Evidence(error: $0.error, description: $0.description) }
    _ = cache.fetched(key, .failure(error), now: at(seconds))
  }

  /// Requests of the last minute, of which so many failed.
  mutating func fare(_ all: Int, failed: Int, at seconds: Double) {
    traffic = [
      Traffic.Minute(
        start: at(seconds - 60), end: at(seconds), counts: .init(ok: all - failed, failed: failed))
    ]
  }

  mutating func replaceSecret(at seconds: Double) {
    secretSince = at(seconds)
    _ = cache.credentialsChanged(client: "default", now: at(seconds))
  }

  mutating func pass(until seconds: Double) { _ = cache.advance(now: at(seconds)) }

  func report(at seconds: Double) throws -> StatusReport {
    let oauth = OAuthClient.auth0(baseURL: "https://acme.example", clientID: "id", secrets: [Secret("s3cr3t".utf8)])
    let secrets = (oauth.secrets?.status ?? []).map {
      SecretStatus(fingerprint: $0.fingerprint, since: secretSince ?? start, acceptedAt: nil)
    }
    let source = SourceStatus(
      authentication: "client_secret_post", assertionKey: nil, secrets: secrets,
      assertion: assertion, issuer: "https://acme.example/", keySet: keySet)
    var facts = StatusFacts(
      now: at(seconds), wallNow: 1_800_000_000 + seconds, isDraining: isDraining,
      broker: BrokerStatus(
        figures: figures, keys: cache.keyStatuses(now: at(seconds)),
        clients: cache.clientStatuses(now: at(seconds))),
      clients: [UpstreamStatus(clients: ["default"], oauth: oauth, source: source)], listed: listed,
      traffic: traffic,
      process: .init(
        version: "1", startedAt: 0, workers: 1, cpuSeconds: 0, residentBytes: 0, openDescriptors: 0, maxDescriptors: 0))
    (facts.callers, facts.usage, facts.denials, facts.dependencies) = (callers, usage, denials, dependencies)
    return StatusReport(facts, KeyRow.all(facts))
  }
}

@Suite struct StatusReportTests {
  private let api = Scene.key("https://api.example.com/")

  @Test("A token that is held has its times, also of its next refresh, in Unix time")
  func held() throws {
    var scene = Scene()
    scene.ask(api, at: 0)
    #expect(try scene.report(at: 0.5).audiences.map(\.state) == [.fetching])
    scene.mint(api, at: 1)
    scene.ask(api, at: 2)
    let report = try scene.report(at: 10)
    let row = try #require(report.audiences.first)
    #expect(report.condition == .ok && report.problems.isEmpty)
    #expect(row.state == .held && row.hits == 1 && row.lastFailure == nil)
    #expect(row.mintedAt == 1_800_000_001 && row.expiresAt == 1_800_086_401 && row.servedUntil == 1_800_086_371)
    // An hour ahead of the end, and up to a fifth of that more.
    let refresh = try #require(row.nextRefreshAt)
    #expect((1_800_086_401 - 4320...1_800_086_401 - 3600).contains(refresh))
    #expect(row.lastUsedAt == 1_800_000_002)
  }

  @Test("What somebody should look at of a store that can be used is a problem, and the store has none")
  func storeNotice() throws {
    var scene = Scene()
    let notice = "it is damaged; it is now /s.corrupt-1"
    scene.figures.store = StoreFigures(StoreCondition(location: "file:/s", problem: nil, notice: notice))
    let report = try scene.report(at: 1)
    #expect(report.problems.map(\.title) == ["The store file:/s had to be made anew"])
    #expect(report.problems.first?.detail == notice && report.store?.problem == nil)
    #expect(report.condition == .attention)
  }

  @Test("What a store refuses is one problem that names it, with what to do")
  func storeRefusals() throws {
    let table: [([StoreOperation], String, String)] = [
      ([.claim, .save], "claim, save", "Callers are served, but each broker mints for itself"),
      ([.load], "load", "Callers are served, but each broker mints for itself"),
      ([.listen], "listen", "Who waits for another broker's token looks for it again"),
      ([.remove], "remove", "Tokens that are thrown away stay there"),
    ]
    for (operations, names, remedy) in table {
      var scene = Scene()
      let refusals = Dictionary(uniqueKeysWithValues: operations.map { ($0, "EVAL was refused") })
      scene.figures.store = StoreFigures(StoreCondition(location: "redis://h", problem: nil, refusals: refusals))
      let report = try scene.report(at: 1)
      #expect(report.problems.map(\.title) == ["The store redis://h refuses to \(names)"])
      #expect(report.problems.first?.detail == "\(names): EVAL was refused" && report.condition == .attention)
      #expect(report.problems.first?.remedy?.hasPrefix(remedy) == true)
      #expect(report.store?.problem == "it refuses \(names): EVAL was refused")
    }
  }

  @Test("A refresh that fails is seen while the token is good, and remembered when it is over")
  func failingRefresh() throws {
    var scene = Scene()
    scene.ask(api, at: 0)
    scene.mint(api, lifetime: 1000, at: 0)
    scene.ask(api, at: 1)
    scene.pass(until: 950)
    scene.fail(api, .upstreamUnavailable, at: 951)
    var report = try scene.report(at: 952)
    var row = try #require(report.audiences.first)
    #expect(row.state == .refreshFailing && report.condition == .attention)
    var failure = try #require(row.lastFailure)
    #expect(failure.error == "upstream_unavailable" && failure.isCurrent && failure.at == 1_800_000_951)
    #expect(failure.remedy == TokenError.Cause.upstreamUnavailable.remedy && failure.times == 1)
    #expect(report.problems.map(\.servedUntil) == [1_800_000_970])

    scene.pass(until: 955)
    scene.mint(api, at: 956)
    report = try scene.report(at: 957)
    row = try #require(report.audiences.first)
    failure = try #require(row.lastFailure)
    #expect(row.state == .held && report.condition == .ok && !failure.isCurrent && failure.retryAt == nil)
  }

  @Test(
    "A failure makes the condition failing, but attention where the fault is the caller's or a limit",
    arguments: TokenError.Cause.allCases)
  func conditions(_ code: TokenError.Cause) throws {
    var scene = Scene()
    scene.ask(api, at: 0)
    scene.fail(api, code, at: 1)
    scene.listed = [api]
    scene.fare(50, failed: 1, at: 1)
    let report = try scene.report(at: 1)
    let isAskers = [.unknownAudience, .audienceNotGranted, .unknownOrganization, .invalidCaller].contains(code)
    let problem = try #require(report.problems.first { $0.error == code.rawValue })
    // A rate limit alone says nothing yet of what callers get.
    #expect(problem.condition == (isAskers || code == .upstreamRateLimited ? .attention : .failing))
    #expect(problem.remedy == code.remedy && problem.detail?.contains(code.rawValue) == true)
  }

  @Test("What the tenant said stands with the problem, the audience's last failure, and a remedy that follows from it")
  func evidence() throws {
    var scene = Scene()
    scene.ask(api, at: 0)
    scene.fail(api, .audienceNotGranted, saying: ("invalid_scope", "AADSTS1002012: The provided value"), at: 1)
    let other = Scene.key("https://other.example.com/")
    scene.ask(other, at: 1)
    scene.fail(other, .audienceNotGranted, at: 1)
    let report = try scene.report(at: 2)
    #expect(report.audiences.map(\.problem) == [0, 1])
    let words = ["upstream_error": "invalid_scope", "upstream_error_description": "AADSTS1002012: The provided value"]
    #expect(report.audiences.compactMap(\.lastFailure?.evidence) == [words])
    #expect(report.problems.compactMap(\.evidence) == [words], "each with a remedy of its own is one problem")
    #expect(report.problems.count == 2)
    #expect(report.problems.contains { $0.evidence != nil && $0.remedy?.contains("/.default") == true })
  }

  @Test("A failure that nobody repeats for a minute leaves the condition ok, and is still in the report")
  func oldFailure() throws {
    var scene = Scene()
    scene.ask(api, at: 0)
    scene.fail(api, .upstreamUnavailable, at: 1)
    #expect(try scene.report(at: 60).problems.map(\.condition) == [.failing])
    let report = try scene.report(at: 62)
    #expect(report.condition == .ok && report.audiences.map(\.state) == [.failing])
    #expect(report.audiences.first?.lastFailure?.error == "upstream_unavailable")
  }

  @Test("A client that its tenant limits says until when, and so do its tokens that wait for it")
  func limited() throws {
    let other = Scene.key("https://other.example.com/")
    var scene = Scene()
    scene.ask(api, at: 0)
    scene.mint(api, lifetime: 1000, at: 0)
    scene.ask(api, at: 1)
    scene.ask(other, at: 900)
    scene.fail(other, .upstreamRateLimited, retryAfter: .seconds(120), at: 900)
    scene.pass(until: 960)
    let report = try scene.report(at: 961)
    #expect(report.clients.first?.block?.cause == "limit" && report.clients.first?.block?.until == 1_800_001_020)
    #expect(report.audiences.map(\.state) == [.refreshFailing])
    #expect(report.problems.map(\.retryAt) == [1_800_001_020] && report.problems[0].notRenewed == 1)
    #expect(report.audiences.map(\.problem) == [0] && report.condition == .attention)
  }

  @Test("A limit that callers feel makes the condition failing")
  func limitFelt() throws {
    var scene = Scene()
    scene.ask(api, at: 0)
    scene.fail(api, .upstreamRateLimited, retryAfter: .seconds(120), at: 1)
    scene.fare(22, failed: 1, at: 2)
    let report = try scene.report(at: 2)
    #expect(report.problems.map(\.condition) == [.attention] && report.condition == .failing)
  }

  @Test("Refused credentials make the condition failing, and are the first problem")
  func refused() throws {
    var scene = Scene()
    scene.ask(api, at: 0)
    scene.fail(api, .brokerMisconfigured, at: 1)
    scene.fare(10, failed: 3, at: 2)
    let report = try scene.report(at: 2)
    #expect(report.condition == .failing && report.clients.first?.block?.cause == "refusal")
    #expect(report.problems.first?.title == "The tenant refuses the credentials of client default")
  }

  @Test("Refused credentials stay a problem until something shows that they are good, and what shows it is told")
  func refusedAndQuiet() throws {
    var scene = Scene()
    scene.ask(api, at: 0)
    scene.fail(api, .brokerMisconfigured, at: 1)
    let report = try scene.report(at: 1000)
    #expect(report.problems.map(\.error) == ["broker_misconfigured"] && report.problems[0].retryAt == nil)
    #expect(report.problems[0].retry?.map(\.audience) == [api.grant.audience])
    #expect(report.condition == .attention, "nobody is refused anything just now")
  }

  /// Three audiences of a client whose secret is refused: one without a token, two that are held.
  private static func refusing() -> Scene {
    var scene = Scene()
    for name in ["a", "b"] {
      scene.ask(Scene.key(name), at: 0)
      scene.mint(Scene.key(name), lifetime: 1000, at: 0)
      scene.ask(Scene.key(name), at: 1)
    }
    scene.listed = ["a", "b", "c"].map { Scene.key($0) }
    scene.pass(until: 950)
    scene.fail(Scene.key("a"), .brokerMisconfigured, at: 951)
    scene.fail(Scene.key("b"), .brokerMisconfigured, at: 951)
    return scene
  }

  @Test("One cause is told once, with how many audiences it concerns, and their rows lead to it")
  func grouped() throws {
    var scene = Self.refusing()
    scene.fare(100, failed: 0, at: 952)
    let report = try scene.report(at: 952)
    #expect(report.problems.map(\.error) == ["broker_misconfigured"], "\(report.problems.map(\.title))")
    #expect(report.problems[0].notRenewed == 2 && report.problems[0].withoutToken == 0)
    #expect(report.audiences.map(\.problem) == [0, 0, nil])
  }

  @Test("A warning is gone when what was wrong with the client is over, though the token is replaced much later")
  func mended() throws {
    var scene = Scene()
    scene.ask(api, at: 0)
    scene.mint(api, at: 0)
    // Somebody wants a newer one, and the secret is wrong.
    scene.insist(api, at: 100)
    scene.fail(api, .brokerMisconfigured, at: 101)
    var report = try scene.report(at: 102)
    #expect(report.audiences.map(\.state) == [.refreshFailing])
    let other = Scene.key("https://other.example.com/")
    scene.ask(other, at: 200)
    scene.mint(other, at: 201)
    scene.figures.clients["default", default: .init()].lastMint = scene.at(201)
    report = try scene.report(at: 202)
    #expect(report.audiences.map(\.state) == [.held, .held] && report.condition == .ok, "\(report.problems)")
    #expect(report.audiences.first?.lastFailure?.error == "broker_misconfigured")
  }

  @Test("A warning of refused credentials is gone with the next secret, before anybody has tried that")
  func replaced() throws {
    var scene = Scene()
    scene.ask(api, at: 0)
    scene.mint(api, at: 0)
    scene.insist(api, at: 100)
    scene.fail(api, .brokerMisconfigured, at: 101)
    scene.replaceSecret(at: 110)
    let report = try scene.report(at: 111)
    #expect(report.audiences.map(\.state) == [.held] && report.condition == .ok, "\(report.problems)")
    #expect(report.clients.first?.block == nil)
  }

  @Test("What nobody has configured and the tenant does not know is no trouble of the broker's, whoever asks for it")
  func madeUp() throws {
    var scene = Scene()
    scene.ask(api, at: 0)
    scene.fail(api, .unknownAudience, at: 1)
    let report = try scene.report(at: 1)
    #expect(report.condition == .ok && report.problems.map(\.condition) == [.ok])
    #expect(report.audiences.map(\.problem) == [0])
  }

  @Test(
    "Of an audience in vain among many that are served the condition is attention, failing from one in a hundred on",
    arguments: [(303, 1, StatusReport.Condition.attention), (303, 4, .failing), (0, 0, .attention)])
  func weighed(_ all: Int, _ failed: Int, _ condition: StatusReport.Condition) throws {
    var scene = Scene()
    scene.ask(api, at: 0)
    scene.fail(api, .tokenValidationFailed, at: 1)
    scene.fare(all, failed: failed, at: 2)
    let report = try scene.report(at: 2)
    #expect(report.condition == condition && report.problems.map(\.condition) == [.failing])
    #expect(report.recent.requests == all && report.recent.failed == failed)
  }

  private func report(
    _ problem: String? = nil, _ certificates: [OwnCertificate] = [], _ keySets: [DependencyFigures.KeySet] = []
  ) throws -> StatusReport {
    var scene = Scene()
    scene.dependencies = DependencyFigures(
      configuration: .init(loadedAt: 1_799_999_000, lastReloadAt: 1_800_000_000, problem: problem),
      certificates: certificates, keySets: keySets)
    return try scene.report(at: 0)
  }

  @Test(
    "A certificate of the broker's own is a problem from a fortnight before its end, and failing after it",
    arguments: [(15.0, [], 15), (13.5, ["attention"], 13), (-0.5, ["failing"], -1)])
  func certificates(_ days: Double, _ conditions: [String], _ left: Int) throws {
    let certificate = OwnCertificate(
      .listener, file: "/tls.crt", names: ["a.example.com"], notBefore: 1_700_000_000,
      expiresAt: 1_800_000_000 + days * 86_400)
    let report = try report(nil, [certificate])
    #expect(report.problems.map(\.condition.rawValue) == conditions)
    #expect(report.certificates.map(\.daysLeft) == [left] && report.certificates.first?.use == "listener")
    #expect(report.problems.allSatisfy { $0.detail?.contains("a.example.com") == true && $0.remedy != nil })
  }

  @Test("A configuration that was refused is a problem, with its reason and when that was")
  func configuration() throws {
    let fine = try report()
    #expect(fine.problems.isEmpty && fine.configuration?.lastReloadOk == true)
    let wrong = try report("listen (c.yaml:1:1): no such key")
    #expect(wrong.configuration?.lastReloadOk == false && wrong.configuration?.lastReloadAt == 1_800_000_000)
    #expect(wrong.configuration?.error?.contains("c.yaml:1:1") == true && wrong.condition == .attention)
    #expect(wrong.problems.first?.detail?.contains("c.yaml:1:1") == true)
  }

  @Test("Keys of callers' issuer that cannot be read are a problem, and fail callers where none are held")
  func issuerKeys() throws {
    func keys(_ count: Int, _ problem: String?, client: String? = nil) -> DependencyFigures.KeySet {
      .init(issuer: "https://k", client: client, keys: count, readAt: nil, problem: problem)
    }
    #expect(try report(nil, [], [keys(1, nil), keys(0, "no", client: "default")]).condition == .ok)
    #expect(try report(nil, [], [keys(1, "no route")]).condition == .attention)
    let failing = try report(nil, [], [keys(0, "no route")])
    #expect(failing.problems.map(\.condition) == [.failing] && failing.keySets.map(\.error) == ["no route"])
    #expect(failing.problems.first?.detail == "https://k: no route")
  }

  @Test(
    "Signing keys that cannot be read make the condition attention, and failing where none are held",
    arguments: [true, false])
  func keySet(_ isHeld: Bool) throws {
    var scene = Scene()
    scene.keySet = KeySetStatus(
      keys: isHeld ? [.init(id: "k1", algorithm: "RS256")] : [], fetchedAt: nil, problem: "status 500", nextFetch: nil)
    let report = try scene.report(at: 0)
    #expect(report.problems.map(\.condition) == [isHeld ? .attention : .failing])
    #expect(report.condition == .attention && report.problems.first?.detail == "status 500")
  }

  @Test(
    "A month's allotment is a problem from its reserve on",
    arguments: [(1, nil), (2, "down to its reserve"), (3, "used up")] as [(Int, String?)])
  func budget(_ mints: Int, _ word: String?) throws {
    var scene = Scene {
      $0.client.monthlyMints = 3
      $0.client.monthlyReserve = 1
    }
    for number in 0..<mints {
      let key = Scene.key("https://\(number)/")
      scene.ask(key, at: 0)
      scene.mint(key, at: 0)
    }
    let report = try scene.report(at: 1)
    #expect(report.clients.first?.budget?.used == mints)
    #expect(report.clients.first?.budget?.countedBy == "broker")
    #expect(report.problems.count == (word == nil ? 0 : 1))
    if let word { #expect(report.problems.first?.title.hasSuffix(word) == true) }
  }

  @Test(
    "Requests that failed lately make the condition attention, and failing from one in a hundred on",
    arguments: [(0, 100, StatusReport.Condition.ok), (1, 1000, .attention), (2, 100, .failing)])
  func traffic(_ failed: Int, _ all: Int, _ condition: StatusReport.Condition) throws {
    var scene = Scene()
    scene.traffic = [
      Traffic.Minute(start: scene.at(0), end: scene.at(60), counts: .init(failed: 50)),
      Traffic.Minute(start: scene.at(60), end: scene.at(120), counts: .init(ok: all - failed)),
      Traffic.Minute(start: scene.at(120), end: scene.at(130), counts: .init(failed: failed)),
    ]
    let report = try scene.report(at: 130)
    #expect(report.condition == condition)
    #expect(report.traffic.map(\.failed) == [50, 0, failed] && report.traffic.last?.seconds == 10)
  }

  @Test("Requests that failed are no problem any more once the tenant has given a token since")
  func trafficThatWasBad() throws {
    var scene = Scene()
    scene.fare(10, failed: 5, at: 60)
    let failure = PastFailure(TokenError(cause: .upstreamUnavailable, message: "away"), at: scene.at(40))
    scene.figures.clients["default", default: .init()].lastFailure = failure
    #expect(try scene.report(at: 61).condition == .failing)
    scene.figures.clients["default", default: .init()].lastMint = scene.at(50)
    #expect(try scene.report(at: 61).condition == .ok)
  }

  @Test("While the broker drains, that is its condition whatever else is wrong")
  func draining() throws {
    var scene = Scene()
    scene.isDraining = true
    scene.ask(api, at: 0)
    scene.fail(api, .tokenValidationFailed, at: 0)
    #expect(try scene.report(at: 1).condition == .draining)
  }

  /// Two audiences in trouble that hold a token, one in trouble that does not, and two that are well.
  private static func mixed() -> Scene {
    var scene = Scene()
    for (name, lifetime) in [("c", 86400.0), ("a", 86400), ("late", 1000), ("soon", 990)] {
      let key = Scene.key(name)
      scene.ask(key, at: 0)
      scene.mint(key, lifetime: lifetime, at: 0)
      scene.ask(key, at: 1)
    }
    scene.pass(until: 940)
    for name in ["late", "soon"] { scene.fail(Scene.key(name), .invalidUpstreamResponse, at: 941) }
    scene.ask(Scene.key("z"), at: 941)
    scene.fail(Scene.key("z"), .unknownAudience, at: 941)
    return scene
  }

  @Test("Callers come by name with what they asked for, also those who never did, and behind them who is none")
  func callers() throws {
    let usage = CallerUsage(loops: 1)
    usage.given("reports", audience: usage.number(of: "https://a/"), loop: 0).add(at: Scene().at(7))
    for (caller, error) in [("reports", "caller_not_allowed"), (CallerUsage.unknown, "invalid_caller")] {
      usage.count(caller, audience: "https://a/", .init(error, isDenial: true))
    }
    usage.count("reports", audience: "https://made-up/", .init("unknown_audience", isDenial: false))
    var scene = Scene()
    #expect(try scene.report(at: 8).callers == nil)
    scene.callers = ["reports", "billing"]
    scene.usage = usage.rows
    let callers = try #require(try scene.report(at: 8).callers)
    #expect(callers.map(\.name) == ["billing", "reports", "(unknown)"])
    #expect(callers.map(\.requests) == [0, 3, 1] && callers.map(\.denied) == [0, 1, 1])
    #expect(callers[0].lastSeen == nil && callers[1].lastSeen != nil)
    #expect(callers[1].audiences.map(\.audience) == ["https://a/"])
    #expect(callers[1].audiences.map(\.requests) == [2] && callers[1].audiences.map(\.denied) == [1])
  }

  @Test("Denials are told with their time, the caller, the audience, the reason and where they came from")
  func denials() throws {
    var scene = Scene()
    scene.denials = [
      Denial(
        at: scene.at(3), peer: "10.0.0.7:9", caller: "billing", audience: "https://a/", reason: "why", times: 4)
    ]
    let denial = try #require(try scene.report(at: 8).denials.first)
    #expect(denial.time == 1_800_000_003 && denial.peer == "10.0.0.7:9" && denial.caller == "billing")
    #expect(denial.audience == "https://a/" && denial.reason == "why" && denial.times == 4)
  }

  @Test("Audiences come by how bad things are, then by how soon their token ends, then by name")
  func order() throws {
    let report = try Self.mixed().report(at: 942)
    #expect(report.audiences.map(\.audience) == ["z", "soon", "late", "a", "c"])
  }

  @Test("Audiences that are only listed come last, as idle, and none comes twice")
  func listed() throws {
    var scene = Self.mixed()
    scene.listed = [Scene.key("a"), Scene.key("b"), Scene.key("a", scope: "s")]
    let rows = try scene.report(at: 942).audiences
    #expect(rows.map { "\($0.audience) \($0.scope ?? "")" } == ["z ", "soon ", "late ", "a ", "c ", "a s", "b "])
    #expect(rows.suffix(2).allSatisfy { $0.state == .idle && $0.mintedAt == nil })
  }

  @Test("Of 1,200 audiences the report has a thousand, those in trouble first, and says how many there are")
  func many() throws {
    var scene = Scene { $0.client.maxConcurrent = 10_000 }
    for number in 0..<1200 {
      let key = Scene.key("https://\(number)/")
      scene.ask(key, at: 0)
      if number == 777 { scene.fail(key, .unknownAudience, at: 0) } else { scene.mint(key, at: 0) }
    }
    let report = try scene.report(at: 1)
    #expect(report.audiences.count == 1000 && report.audienceCount == 1200)
    #expect(report.audiences.first?.audience == "https://777/")
    #expect(report.audiences.filter { $0.state == .held }.count == 999)
  }

  @Test("Tokens of a client that is no longer there are not in the report")
  func retired() throws {
    var scene = Scene()
    let key = Scene.key("https://api.example.com/", client: UpstreamID("default", generation: 1))
    scene.ask(key, at: 0)
    scene.mint(key, at: 0)
    #expect(try scene.report(at: 1).audiences.isEmpty)
  }
}
