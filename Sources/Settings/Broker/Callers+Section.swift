import Basics
import OAuth
import BrokerCore
import HTTPClient
import IO

extension Callers {
  /// nil if there are no callers: then everybody is served.
  init?(_ root: Section, after previous: Callers?) {
    self.init()
    root.sections("callers", .liveOnlyNarrowed) { name, section in
      if name.hasPrefix("(") {
        root.fail(
          "callers", "'\(name)': expected a name without a ( before it: metrics call those so who are no callers")
      }
      let caller = Self.caller(name, section, after: previous?.byName[name])
      byName[name] = caller
      for proof in Self.proofs(section) {
        guard let other = directory.insert(proof, of: caller), other.name != name else { continue }
        section.fail(proof.key, "the caller '\(other.name)' proves itself in the same way")
      }
      if !Self.ways.contains(where: { section.has($0) }) {
        section.fail("bearerSHA256", "required: a way to prove itself, one of \(Self.ways.joined(separator: ", "))")
      }
    }
    let isWanted = directory.hasServiceAccounts
    (serviceAccounts, verifierSettings) = root.section("kubernetes") { JWTVerifier.read($0, isWanted: isWanted) }
    // It knows keys that may not be had just now.
    if let previous, previous.verifierSettings == verifierSettings { serviceAccounts = previous.serviceAccounts }
    if root.has("callers") { root.restrict("callers") }
    if byName.isEmpty {
      if root.has("callers") {
        root.fail("callers", "expected at least one caller; without the key everybody is served")
      }
      return nil
    }
  }

  /// The settings by which a caller proves itself.
  static let ways = ["bearerSHA256", "clientCertificate", "serviceAccount", "unixUser", "unixGroup"]

  private static func caller(_ name: String, _ section: Section, after previous: Caller?) -> Caller {
    var audiences = AudienceSet()
    let patterns = section.values("audiences", .audience)
    if patterns == nil, !section.has("audiences") {
      section.fail("audiences", "required: the audiences it may have, or '*' for any")
    }
    for pattern in patterns ?? [] where !audiences.insert(pattern: pattern) {
      section.fail("audiences", "'\(pattern)': a star is for everything ('*') or stands behind a slash at the end")
    }
    let defaultAudience = section.value("defaultAudience", .audience)
    if let defaultAudience, patterns != nil, !audiences.contains(Array(defaultAudience.utf8)) {
      section.fail("defaultAudience", "expected one of the caller's audiences")
    }
    let organizations = section.values("organizations", .text("organizations, or '*' for any"))
    let scopes = section.values("scopes", .scope, .liveOnlyNarrowed)
    let perMinute = section.value("requestsPerMinute", .number(1...100_000_000), .liveOnlyNarrowed)
    for key in ["scopes", "requestsPerMinute"] where section.has(key) { section.restrict(key) }
    // What was counted goes on counting.
    let former = previous?.limit
    let limit = former?.perMinute == perMinute ? former : perMinute.map { SharedRateLimiter(perMinute: $0) }
    return Caller(
      name: name, audiences: audiences, defaultAudience: defaultAudience, organizations: Set(organizations ?? []),
      scopes: scopes.map { Set($0.flatMap { $0.split(separator: " ").map(String.init) }) }, limit: limit)
  }

  private static func proofs(_ section: Section) -> [CallerDirectory.Proof] {
    let keys = section.values("bearerSHA256", .sha256Digest) ?? []
    if keys.contains(SHA256Digest(of: [UInt8]().span)) {
      section.fail("bearerSHA256", "this is the SHA-256 of nothing, such as a key file that was empty")
    }
    let certificates = section.values("clientCertificate", .certificateName) ?? []
    let accounts = section.values("serviceAccount", .serviceAccount) ?? []
    let users = section.values("unixUser", .unixID) ?? []
    let groups = section.values("unixGroup", .unixID) ?? []
    for (key, ids, standIn) in [
      ("unixUser", users, UserNamespace.unmappedUser), ("unixGroup", groups, UserNamespace.unmappedGroup),
    ] {
      guard let standIn, ids.contains(standIn) else { continue }
      section.fail(
        key, "\(standIn) stands for every id that this process's user namespace does not map, so it tells nobody apart")
    }
    return keys.map { .key($0) } + certificates.map { .certificate($0) } + accounts.map { .serviceAccount($0) }
      + users.map { .unixUser($0) } + groups.map { .unixGroup($0) }
  }
}

extension CallerDirectory.Proof {
  /// The setting it comes from.
  fileprivate var key: String {
    switch self {
    case .key: "bearerSHA256"
    case .certificate: "clientCertificate"
    case .serviceAccount: "serviceAccount"
    case .unixUser: "unixUser"
    case .unixGroup: "unixGroup"
    }
  }
}

extension Format where Value == String {
  fileprivate static var serviceAccount: Format {
    Format("namespace/name") { text in
      text.wholeMatch(of: /[a-z0-9][a-z0-9\-]{0,62}\/[a-z0-9][a-z0-9.\-]{0,252}/).map { _ in text }
    }
  }
}

extension JWTVerifier {
  /// The token in a file, read each time it is needed.
  private static func bearerToken(in file: String) -> Keys.BearerToken {
    { () throws(InvalidSetting) in
      do throws(FileError) { return try Secret(file: file) } catch { throw InvalidSetting("tokenFile", error.reason) }
    }
  }

  /// For Kubernetes service accounts. nil, with what is wrong said, if there is none or it is not complete.
  fileprivate static func read(_ section: Section, isWanted: Bool) -> (verifier: JWTVerifier?, settings: [String?]) {
    let issuer = section.value("issuer", .url)
    let url = section.value("jwksURL", .url)
    let document = section.value("jwksFile", .contents)
    let audience = section.value("audience", .text("an audience"), default: "token-broker")
    let tokenFile = section.value("tokenFile", .path)
    let authorities = section.value("caFile", .certificates)
    guard isWanted || section.mark != nil else { return (nil, []) }
    if issuer == nil, !section.has("issuer") {
      section.fail("issuer", "required for callers with serviceAccount: the cluster's issuer URL")
    }
    if section.has("jwksURL") == section.has("jwksFile") {
      section.fail("jwksURL", "expected one of jwksURL and jwksFile")
    }
    do {
      let keys = try url.map { url in
        Keys.remote(
          url: url, bearerToken: tokenFile.map(bearerToken),
          http: try HTTPClient(trust: authorities.map { .file($0) } ?? .system))
      }
      guard let issuer, let keys = keys ?? document.map(Keys.document) else { return (nil, []) }
      let settings = [
        issuer, audience, url, tokenFile, authorities, authorities.flatMap(File.digest)?.hex,
        document.map { SHA256Digest(of: $0.span).hex },
      ]
      return (try JWTVerifier(issuer: issuer, audience: audience, keys: keys), settings)
    } catch {
      section.fail(url == nil ? "jwksFile" : "jwksURL", (error as? InvalidSetting)?.reason ?? "\(error)")
      return (nil, [])
    }
  }
}
