package import Basics
import HTTPClient
import JWTKit

/// The names of all keys that a tenant publishes.
package struct KeySetChange: Sendable {
  package let keyIDs: Set<String>
  /// When it was asked for them.
  package let asked: Instant
}

/// The tenant's key set, fetched when needed and by one request at a time.
actor KeySetSource {
  /// The key set, or one recent enough to settle the matter, cannot be had; trying again makes sense at `retryAt`.
  struct Unavailable: Error {
    let retryAt: Instant
    /// In the words of whoever knows.
    let reason: String
  }

  /// The set cannot even be asked for.
  struct NotAskable: Error {
    let reason: String
  }

  typealias MakeRequest = @Sendable () async throws(NotAskable) -> HTTPClient.Request

  private let http: HTTPClient
  private let request: MakeRequest
  private var problem = "no answer yet"
  private var cache = FetchSchedule<KeySet>()
  private var fetching: Task<Void, Never>?

  private let fetched: @Sendable (KeySetChange) -> Void

  /// `request` is asked for what to send, each time.
  init(
    http: HTTPClient, fetched: @escaping @Sendable (KeySetChange) -> Void = { _ in },
    request: @escaping MakeRequest
  ) {
    self.http = http
    self.fetched = fetched
    self.request = request
  }

  /// The usual request. Kubernetes answers 406 to whoever accepts only plain JSON.
  static func request(_ url: String, authorization: Secret? = nil) -> HTTPClient.Request {
    var request = HTTPClient.Request(
      url: url, headers: [("Accept", "application/jwk-set+json, application/json")], timeout: .seconds(5))
    request.authorization = authorization
    return request
  }

  /// Fetches the set again if one is held and it is no longer fresh.
  func poll() async {
    if cache.current != nil { await fetchIfWanted(isKnown: true) }
  }

  /// Returns at once, unless it is known that the key set cannot be had and none is held: a token minted now could not be
  /// checked. Then it is asked for again.
  func recover() async throws(Unavailable) {
    guard cache.current == nil, cache.isFailing else { return }
    await fetchIfWanted(isKnown: false)
    if cache.current == nil { throw unavailable(until: cache.nextFetch) }
  }

  /// The keys that may have signed a token with this `kid` and algorithm, which was asked for at `asked`; none if a key set
  /// read since then has none.
  func candidates(kid: String?, algorithm: JWK.Algorithm, asked: Instant) async throws(Unavailable) -> [JWK] {
    if let fetching { await fetching.value }
    let known = cache.current?.candidates(kid: kid, algorithm: algorithm) ?? []
    await fetchIfWanted(isKnown: !known.isEmpty)
    let candidates = cache.current?.candidates(kid: kid, algorithm: algorithm) ?? []
    if case .wait(let instant) = cache.step(isKnown: !candidates.isEmpty, asked: asked, now: .now) {
      throw unavailable(until: instant)
    }
    return candidates
  }

  /// The same for a token that a caller brings, which nothing is gained by holding: what can be known by `deadline`
  /// decides. A stranger's `kid` makes nobody wait whose key is known, and is asked for once in a cooldown. Of a token whose
  /// origin is known, minted at `asked`, a key set read before that decides nothing.
  func candidates(
    kid: String?, algorithm: JWK.Algorithm, asked: Instant? = nil, by deadline: Instant
  ) async throws(Unavailable) -> [JWK] {
    func held() -> [JWK] { cache.current?.candidates(kid: kid, algorithm: algorithm) ?? [] }
    if cache.wantsFetch(isKnown: !held().isEmpty, now: .now) { await fetchOnce().wait(until: deadline) }
    let candidates = held()
    let isSettled = fetching == nil && !cache.isFailing && cache.isRead(since: asked)
    if candidates.isEmpty, !isSettled {
      throw unavailable(until: cache.nextFetch)
    }
    return candidates
  }

  var status: KeySetStatus {
    KeySetStatus(
      keys: cache.current?.descriptions ?? [], fetchedAt: cache.fetchedAt, problem: cache.isFailing ? problem : nil,
      nextFetch: cache.nextFetch)
  }

  private func unavailable(until instant: Instant?) -> Unavailable {
    Unavailable(retryAt: instant ?? .now, reason: problem)
  }

  private func fetchIfWanted(isKnown: Bool) async {
    if cache.wantsFetch(isKnown: isKnown, now: .now) { await fetchOnce().value }
  }

  /// The request under way: another caller may have begun it.
  private func fetchOnce() -> Task<Void, Never> {
    let task = fetching ?? Task { await fetch() }
    fetching = task
    return task
  }

  private func fetch() async {
    defer { fetching = nil }
    do {
      let response = try await http.send(try await request())
      guard response.status == 200 else { return failed("it answered with status \(response.status)") }
      guard let keys = try? KeySet(json: response.body) else { return failed("its answer is no key set") }
      cache.fetched(keys, now: .now)
      if let keyIDs = keys.ids { fetched(KeySetChange(keyIDs: keyIDs, asked: response.requestedAt)) }
    } catch let error as HTTPClient.Failure {
      failed(error.message)
    } catch let error as NotAskable {
      failed(error.reason)
    } catch {
      failed("\(error)")
    }
  }

  private func failed(_ problem: String) {
    self.problem = problem
    cache.failed(now: .now)
  }
}
