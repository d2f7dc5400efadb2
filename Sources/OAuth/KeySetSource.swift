import Clocks
import JWTKit

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

  init(url: String, http: HTTPClient) {
    self.url = url
    self.http = http
  }

  /// Returns at once, unless it is known that the key set cannot be had and none is held: a token minted now could not be
  /// checked. Then it is asked for again.
  func recover() async throws(Unavailable) {
    guard cache.current == nil, cache.isFailing else { return }
    await fetchIfWanted(isKnown: false)
    if cache.current == nil { throw Unavailable(retryAt: cache.nextFetch ?? .now) }
  }

  /// The keys that may have signed a token with this `kid` and algorithm; none if a current key set has none.
  func candidates(kid: String?, algorithm: JWK.Algorithm) async throws(Unavailable) -> [JWK] {
    if let fetching { await fetching.value }
    let known = cache.current?.candidates(kid: kid, algorithm: algorithm) ?? []
    await fetchIfWanted(isKnown: !known.isEmpty)
    let candidates = cache.current?.candidates(kid: kid, algorithm: algorithm) ?? []
    if candidates.isEmpty, cache.isFailing { throw Unavailable(retryAt: cache.nextFetch ?? .now) }
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
      cache.fetched(try KeySet(json: response.body), now: .now)
    } catch {
      cache.failed(now: .now)
    }
  }
}
