package import Basics
import HTTPClient

/// The names of all keys that a tenant publishes.
package struct KeySetChange: Sendable {
  package let keyIDs: Set<String>
  /// When it was asked for them.
  package let asked: Instant
}

/// A server's key set, fetched when needed and by one request at a time.
actor KeySetSource {
  nonisolated var unownedExecutor: UnownedSerialExecutor {
    unsafe HTTPClient.executor.asUnownedSerialExecutor()
  }

  /// The key set, or one recent enough to settle the matter, cannot be had; trying again makes sense at `retryAt`.
  struct Unavailable: Error {
    let retryAt: Instant
    /// Why the last request for it failed.
    let problem: Problem
  }

  /// Why a request for the set has failed.
  struct Problem: Sendable {
    /// Anybody may see it.
    let reason: String
    var evidence: Evidence?

    /// All that is known of it.
    var description: String { reason + (evidence?[.connection].map { ": \($0)" } ?? "") }
  }

  /// The set cannot even be asked for.
  struct NotAskable: Error, CustomStringConvertible { let description: String }

  typealias MakeRequest = @Sendable () async throws(NotAskable) -> HTTPClient.Request

  private let http: HTTPClient
  private let makeRequest: MakeRequest
  private let onChange: @Sendable (KeySetChange) -> Void
  private var schedule = FetchSchedule<KeySet>()
  private var lastProblem = Problem(reason: "no answer yet")
  private let fetching = SingleFlight()

  /// `onChange` is told of each set that was read, and `makeRequest` is asked for what to send, each time.
  init(
    http: HTTPClient, onChange: @escaping @Sendable (KeySetChange) -> Void = { _ in },
    makeRequest: @escaping MakeRequest
  ) {
    self.http = http
    self.onChange = onChange
    self.makeRequest = makeRequest
  }

  /// The usual request. Kubernetes answers 406 to whoever accepts only plain JSON.
  static func request(_ url: String, authorization: Secret? = nil) -> HTTPClient.Request {
    var request = HTTPClient.Request(
      url: url, headers: [("Accept", "application/jwk-set+json, application/json")], timeout: .seconds(5))
    request.authorization = authorization
    return request
  }

  /// Fetches the set again once it is no longer fresh; where none is held yet, only if it `isNeeded`.
  func poll(isNeeded: Bool) async { if schedule.wantsPoll(isNeeded: isNeeded, now: .now) { await fetch().value } }

  /// Returns at once, unless it is known that the key set cannot be had and none is held: a token minted now could not
  /// be checked. Then it is asked for again.
  func recover(by deadline: Instant) async throws(Unavailable) {
    guard schedule.current == nil, schedule.isFailing else { return }
    if schedule.wantsFetch(isKnown: false, now: .now) { await fetch().wait(until: deadline) }
    if schedule.current == nil { throw unavailable(until: schedule.nextFetch()) }
  }

  /// The keys that may have signed a token with this `kid` and algorithm; none if what was read in time for the `need`
  /// has none. What is known by `deadline` decides. A `kid` that nobody knows delays no token whose key is known.
  func candidates(
    kid: String?, algorithm: SignatureAlgorithm, for need: FetchSchedule<KeySet>.Need = .shown(), by deadline: Instant
  ) async throws(Unavailable) -> [KeySet.Key] {
    if schedule.wantsFetch(need, isKnown: !held(kid, algorithm).isEmpty, now: .now) {
      await fetch().wait(until: deadline)
    } else if held(kid, algorithm).isEmpty {
      await fetching.current?.wait(until: deadline)
    }
    let candidates = held(kid, algorithm)
    if !candidates.isEmpty { return candidates }
    let step = schedule.step(need, isKnown: false, now: .now)
    if step == .settled, fetching.current == nil { return [] }
    throw unavailable(until: schedule.nextFetch(need))
  }

  var status: KeySetStatus {
    KeySetStatus(
      keys: schedule.current?.descriptions ?? [], fetchedAt: schedule.fetchedAt,
      problem: schedule.isFailing ? lastProblem.description : nil, nextFetch: schedule.nextFetch())
  }

  private func held(_ kid: String?, _ algorithm: SignatureAlgorithm) -> [KeySet.Key] {
    schedule.current?.candidates(kid: kid, algorithm: algorithm) ?? []
  }

  private func unavailable(until instant: Instant?) -> Unavailable {
    let isRead = schedule.current != nil && !schedule.isFailing
    let problem = isRead ? Problem(reason: "the key that it is signed with is not among them yet") : lastProblem
    return Unavailable(retryAt: max(.now, instant ?? .now), problem: problem)
  }

  /// The request under way, or a new one.
  private func fetch() -> Task<Void, Never> { fetching.join(on: self) { await $0.fetchNow() } }

  private func fetchNow() async {
    do {
      let response = try await http.send(try await makeRequest())
      guard response.status == 200 else {
        let wait = RetryHint.wait(response, now: Int(WallClock.now))
        return failed(Problem(reason: "it answered with status \(response.status)"), retryAfter: wait)
      }
      guard let keys = try? KeySet(json: response.body) else {
        return failed(Problem(reason: "its answer is no key set"))
      }
      schedule.fetched(keys, asked: response.requestedAt)
      if let keyIDs = keys.ids { onChange(KeySetChange(keyIDs: keyIDs, asked: response.requestedAt)) }
    } catch let failure as HTTPClient.Failure {
      failed(Problem(reason: failure.summary, evidence: Evidence(failure)))
    } catch {
      failed(Problem(reason: "it cannot be asked for", evidence: Evidence(.connection, "\(error)")))
    }
  }

  private func failed(_ problem: Problem, retryAfter: Duration? = nil) {
    lastProblem = problem
    schedule.failed(now: .now, retryAfter: retryAfter)
  }
}
