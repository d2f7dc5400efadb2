import Basics
package import HTTPClient

/// Reads what a client's tokens depend on, one thing at a time and with nothing remembered: to find out what is wrong.
package struct ClientProbe: Sendable {
  /// What a server publishes, and how its clock stands.
  package struct Document<Contents: Sendable>: Sendable {
    package let contents: Result<Contents, TokenError>
    /// Seconds that the server's clock is ahead of this machine's, negative where it is behind; nil if it did not say.
    package let clockOffset: Double?
  }

  /// What an issuer says of itself.
  package struct Metadata: Sendable {
    package let endpoints: Endpoints
    /// The ways to authenticate that it offers, if the client's is not among them.
    package let otherAuthMethods: [String]?

    package init(endpoints: Endpoints, otherAuthMethods: [String]? = nil) {
      self.endpoints = endpoints
      self.otherAuthMethods = otherAuthMethods
    }
  }

  /// How far the tenant's clock may be ahead before its tokens are refused, in seconds.
  package static var clockTolerance: Double { TokenValidator.leeway }

  private let client: OAuthClient
  private let http: HTTPClient
  private let timeout: Duration

  package init(_ client: OAuthClient, connection: ServerConnection) throws(HTTPClient.Failure) {
    self.client = client
    http = try HTTPClient(connection)
    timeout = connection.timeout
  }

  /// Connects to where `url` leads, as a request for a token would.
  package func connect(to url: String, by proxy: String?) async -> ConnectionReport {
    await http.connect(to: url, by: proxy, as: client.authentication.identity, timeout: timeout)
  }

  /// The metadata of `issuer`.
  package func metadata(of issuer: String) async -> Document<Metadata> {
    var offset: Double?
    do throws(TokenError) {
      let metadata = try await ServerMetadata.read(issuer: issuer, http: http, timeout: timeout) { response in
        offset = offset ?? Self.clockOffset(response)
      }
      let endpoints = try metadata.endpoints(prefersMutualTLS: client.authentication.identity != nil)
      let offered = metadata.tokenEndpointAuthMethods ?? []
      let isOffered = offered.isEmpty || offered.contains(where: client.authentication.registeredNames.contains)
      return Document(
        contents: .success(Metadata(endpoints: endpoints, otherAuthMethods: isOffered ? nil : offered)),
        clockOffset: offset)
    } catch {
      return Document(contents: .failure(error), clockOffset: offset)
    }
  }

  /// What a key set's keys are for: an algorithm each, or the family of a key that names none.
  package struct PublishedKeys: Sendable {
    package let usable: [String]
    /// Those for signing that no token is verified with here.
    package let unusable: [String]

    package init(usable: [String], unusable: [String] = []) {
      self.usable = usable
      self.unusable = unusable
    }
  }

  /// The keys at `url`.
  package func keys(at url: String) async -> Document<PublishedKeys> {
    do throws(HTTPClient.Failure) {
      let response = try await http.send(KeySetSource.request(url))
      return Document(contents: Self.keys(in: response), clockOffset: Self.clockOffset(response))
    } catch {
      return Document(contents: .failure(TokenError(error)), clockOffset: nil)
    }
  }

  private static func keys(in response: HTTPClient.Response) -> Result<PublishedKeys, TokenError> {
    guard response.status == 200 else {
      let problem = "the tenant's signing keys cannot be read: status \(response.status)"
      return .failure(TokenError(cause: .upstreamUnavailable, message: problem).with(response))
    }
    guard let keys = try? KeySet(json: response.body) else {
      return .failure(
        TokenError(cause: .invalidUpstreamResponse, message: "what is at the key set's address is none").with(response))
    }
    return .success(PublishedKeys(usable: keys.purposes, unusable: keys.unusable))
  }

  // MARK: Time

  /// How the clock of the server at `url` stands, whatever it answers to being asked for nothing.
  package func clockOffset(at url: String) async -> Double? {
    var request = HTTPClient.Request(url: url, timeout: timeout)
    request.identity = client.authentication.identity
    return (try? await http.send(request)).flatMap(Self.clockOffset)
  }

  private static func clockOffset(_ response: HTTPClient.Response) -> Double? {
    let (now, wallNow) = (Instant.now, WallClock.now)
    func wall(_ instant: Instant) -> Double { wallNow - instant.duration(to: now) / .seconds(1) }
    return clockOffset(
      date: response.field("date"), age: response.field("age"), asked: wall(response.requestedAt),
      answered: wall(response.receivedAt))
  }

  /// The seconds by which a server's `Date` is ahead of this machine's clock, given the Unix times when it was asked
  /// and when it had answered; 0 for a date that fits in between, for `Date` has whole seconds. What a cache has kept
  /// is `age` seconds older (RFC 9110 §6.6.1, RFC 9111 §5.1).
  static func clockOffset(date: String?, age: String?, asked: Double, answered: Double) -> Double? {
    guard let seconds = date.flatMap(HTTPDate.seconds) else { return nil }
    let age = age.flatMap { UInt32($0) }
    let earliest = Double(seconds) + Double(age ?? 0)
    let latest = earliest + (age == nil ? 1 : 2)
    if earliest > answered { return earliest - answered }
    return min(0, latest - asked)
  }
}
