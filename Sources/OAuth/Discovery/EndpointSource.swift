import Basics
import HTTPClient

/// A client's endpoints: known beforehand, or read from the issuer's metadata when they are first needed, by one
/// request at a time, and not again soon after a failure.
actor EndpointSource {
  nonisolated var unownedExecutor: UnownedSerialExecutor {
    unsafe HTTPClient.executor.asUnownedSerialExecutor()
  }

  private let location: OAuthClient.Location
  private let prefersMutualTLS: Bool
  private let http: HTTPClient
  /// What has been found is kept for good, so of this only the back-off matters.
  private var schedule = FetchSchedule<Endpoints>()
  private var lastFailure: TokenError?
  private let fetching = SingleFlight()

  private static let timeout = Duration.seconds(5)

  init(client: OAuthClient, http: HTTPClient) {
    location = client.location
    self.http = http
    prefersMutualTLS = client.authentication.identity != nil
  }

  /// The endpoints, if they need not be asked for.
  var known: Endpoints? { if case .fixed(let endpoints) = location { endpoints } else { schedule.current } }

  /// The endpoints, by `deadline`. A failure is remembered for as long as its `retryAfter` says.
  func endpoints(by deadline: Instant) async throws(TokenError) -> Endpoints {
    if case .discovered(let issuer) = location, schedule.current == nil {
      if schedule.wantsFetch(isKnown: false, now: .now) { fetching.join(on: self) { await $0.fetch(issuer) } }
      await fetching.current?.wait(until: deadline)
    }
    if let known { return known }
    guard fetching.current == nil, var failure = lastFailure else { throw .timedOut }
    failure.retryAfter = schedule.nextFetch().map { max(.zero, Instant.now.duration(to: $0)) }
    throw failure
  }

  private func fetch(_ issuer: String) async {
    do throws(TokenError) {
      let metadata = try await ServerMetadata.read(issuer: issuer, http: http, timeout: Self.timeout)
      schedule.fetched(try metadata.endpoints(prefersMutualTLS: prefersMutualTLS), asked: .now)
    } catch {
      schedule.failed(now: .now, retryAfter: error.retryAfter)
      lastFailure = error
    }
  }
}
