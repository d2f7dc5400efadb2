import Basics
import FoundationEssentials
import HTTPClient

/// A client's endpoints: known beforehand, or read from the issuer's metadata when they are first needed, by one request
/// at a time, and not again soon after a failure.
actor EndpointSource {
  private let location: OAuthClient.Location
  private let prefersMutualTLS: Bool
  private let http: HTTPClient
  // The same patience as with keys; what has been found is kept for good.
  private var cache = FetchSchedule<Endpoints>()
  private var failure: TokenError?
  private var fetching: Task<Void, Never>?

  private static let timeout = Duration.seconds(5)

  init(client: OAuthClient, http: HTTPClient) {
    location = client.location
    self.http = http
    prefersMutualTLS = client.authentication.identity != nil
  }

  /// The endpoints, if they need not be asked for.
  var known: Endpoints? {
    if case .fixed(let endpoints) = location { endpoints } else { cache.current }
  }

  /// The endpoints, by `deadline`. A failure is remembered for as long as its `retryAfter` says.
  func endpoints(by deadline: Instant) async throws(TokenError) -> Endpoints {
    guard case .discovered(let issuer) = location else { return try found() }
    if fetching == nil, cache.current == nil, cache.wantsFetch(isKnown: false, now: .now) {
      fetching = Task { await fetch(issuer) }
    }
    await fetching?.wait(until: deadline)
    return try found()
  }

  private func found() throws(TokenError) -> Endpoints {
    if let known { return known }
    if fetching != nil { throw .timedOut }
    var error = failure ?? .timedOut
    error.retryAfter = cache.nextFetch.map { max(.zero, Instant.now.duration(to: $0)) }
    throw error
  }

  private func fetch(_ issuer: String) async {
    defer { fetching = nil }
    do throws(TokenError) {
      let metadata = try await ServerMetadata.read(issuer: issuer, http: http, timeout: Self.timeout)
      cache.fetched(try metadata.endpoints(prefersMutualTLS: prefersMutualTLS), now: .now)
    } catch {
      cache.failed(now: .now)
      failure = error
    }
  }
}
