package import Clocks
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
  }

  private let url: String
  private let http: HTTPClient
  private var cache = KeySetCache<KeySet>()
  private var fetching: Task<Void, Never>?

  private static let timeout = Duration.seconds(5)

  private let fetched: @Sendable (KeySetChange) -> Void

  init(url: String, http: HTTPClient, fetched: @escaping @Sendable (KeySetChange) -> Void) {
    self.url = url
    self.http = http
    self.fetched = fetched
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
    if cache.current == nil { throw Unavailable(retryAt: cache.nextFetch ?? .now) }
  }

  /// The keys that may have signed a token with this `kid` and algorithm, which was asked for at `asked`; none if a key set
  /// read since then has none.
  func candidates(kid: String?, algorithm: JWK.Algorithm, asked: Instant) async throws(Unavailable) -> [JWK] {
    if let fetching { await fetching.value }
    let known = cache.current?.candidates(kid: kid, algorithm: algorithm) ?? []
    await fetchIfWanted(isKnown: !known.isEmpty)
    let candidates = cache.current?.candidates(kid: kid, algorithm: algorithm) ?? []
    if case .wait(let instant) = cache.step(isKnown: !candidates.isEmpty, asked: asked, now: .now) {
      throw Unavailable(retryAt: instant)
    }
    return candidates
  }

  private func fetchIfWanted(isKnown: Bool) async {
    guard cache.wantsFetch(isKnown: isKnown, now: .now) else { return }
    // Another caller may have begun meanwhile.
    let task = fetching ?? Task { await fetch() }
    fetching = task
    await task.value
  }

  private func fetch() async {
    defer { fetching = nil }
    do {
      let response = try await http.send(
        HTTPClient.Request(url: url, headers: [("Accept", "application/json")], timeout: Self.timeout))
      guard response.status == 200 else { return cache.failed(now: .now) }
      let keys = try KeySet(json: response.body)
      cache.fetched(keys, now: .now)
      if let keyIDs = keys.ids { fetched(KeySetChange(keyIDs: keyIDs, asked: response.requestedAt)) }
    } catch {
      cache.failed(now: .now)
    }
  }
}
