import Basics
import HTTPClient
import OAuth
import IO
import Settings

/// Looks at what one client's tokens depend on: the way to its servers, what they publish, and the time. What cannot
/// work because something before it has failed is skipped, and says so.
struct ClientCheckup {
  /// Why no token need be asked for: none that is to be verified, or none at all.
  struct Obstacles {
    var toVerified: String?
    var toAny: String?

    /// The first that was met counts.
    mutating func meet(_ reason: String, forAny: Bool) {
      toVerified = toVerified ?? reason
      if forAny { toAny = toAny ?? reason }
    }
  }

  let settings: ClientSettings
  let upstream: UpstreamSettings
  let environment: [String: String]
  let probe: ClientProbe
  let tell: (Finding) -> Void

  func examine() async -> Obstacles {
    var way = Way(checkup: self)
    var obstacles = Obstacles()
    if let file = settings.client.authentication.assertionFile {
      let finding = TenantFindings.assertion(file, now: WallClock.now)
      tell(finding)
      if finding.verdict == .failed { obstacles.meet("assertion failed", forAny: true) }
    }
    var clockOffset: Double?
    let endpoints: Endpoints
    switch settings.client.location {
    case .fixed(let fixed):
      endpoints = fixed
      if settings.client.isAuth0, let issuer = fixed.issuer {
        (_, clockOffset) = await discover(issuer, isNeeded: false, &way)
      }
    case .discovered(let issuer):
      let (found, offset) = await discover(issuer, isNeeded: true, &way)
      guard let found else {
        let obstacle = await way.obstacle(to: issuer) ?? "discovery failed"
        tell(.skipped(.jwks, nil, obstacle))
        tell(offset == nil ? .skipped(.clock, nil, obstacle) : TenantFindings.clock(offset))
        return Obstacles(toVerified: obstacle, toAny: obstacle)
      }
      (endpoints, clockOffset) = (found, offset)
    }
    let obstacle = await way.obstacle(to: endpoints.tokenURL)
    if let obstacle { obstacles.meet(obstacle, forAny: true) }
    let keys = await readKeys(endpoints.jwksURL, &way)
    if keys.hasFailed { obstacles.meet("jwks failed", forAny: false) }
    var offset = clockOffset ?? keys.clockOffset
    if offset == nil, obstacle == nil { offset = await probe.clockOffset(at: endpoints.tokenURL) }
    let clock =
      offset == nil && way.isBlocked ? .skipped(.clock, nil, "nothing has answered") : TenantFindings.clock(offset)
    tell(clock)
    if clock.verdict == .failed { obstacles.meet("clock failed", forAny: false) }
    return obstacles
  }

  private func discover(
    _ issuer: String, isNeeded: Bool, _ way: inout Way
  ) async -> (endpoints: Endpoints?, clockOffset: Double?) {
    if let obstacle = await way.obstacle(to: issuer) {
      tell(.skipped(.discovery, issuer, obstacle))
      return (nil, nil)
    }
    let document = await probe.metadata(of: issuer)
    tell(TenantFindings.discovery(issuer, document, isNeeded: isNeeded))
    let metadata = try? document.contents.get()
    if let offered = metadata?.otherAuthMethods {
      tell(TenantFindings.authMethod(issuer, settings.client.authentication.name, offered))
    }
    return (metadata?.endpoints, document.clockOffset)
  }

  private func readKeys(_ url: String?, _ way: inout Way) async -> (hasFailed: Bool, clockOffset: Double?) {
    guard let url else {
      tell(.skipped(.jwks, nil, "the client has no key set, so that only opaque tokens can be had"))
      return (false, nil)
    }
    if let obstacle = await way.obstacle(to: url) {
      tell(.skipped(.jwks, url, obstacle))
      return (true, nil)
    }
    let document = await probe.keys(at: url)
    let finding = TenantFindings.jwks(url, document)
    tell(finding)
    return (finding.verdict == .failed, document.clockOffset)
  }

  /// The way to each server, looked at once.
  private struct Way {
    let checkup: ClientCheckup
    /// By host and port.
    var obstacles: [String: String?] = [:]

    /// Whether no server could be reached.
    var isBlocked: Bool { obstacles.values.allSatisfy { $0 != nil } }

    /// What has failed on the way to the server of `url`; nil if nothing.
    mutating func obstacle(to url: String) async -> String? {
      guard let server = URLParts(url) else { return "its address is no URL" }
      let place = server.hostAndPort
      if let known = obstacles[place] { return known }
      let proxy = ProxyChoice.proxy(for: server, configured: checkup.upstream.proxy, environment: checkup.environment)
      var lookup: Result<[String], HostLookup.Failure>?
      if proxy == nil {
        do throws(HostLookup.Failure) {
          lookup = .success(try await HostLookup.addresses(of: server.host))
        } catch {
          lookup = .failure(error)
        }
      }
      let findings = ConnectionFindings(
        server: server, proxy: proxy, lookup: lookup, report: await checkup.probe.connect(to: url, by: proxy),
        now: WallClock.now
      ).all
      for finding in findings { checkup.tell(finding) }
      let obstacle = findings.first { $0.verdict == .failed }.map { "\($0.check.rawValue) failed" }
      obstacles[place] = .some(obstacle)
      return obstacle
    }
  }
}
