import Basics
import OAuth
import Status

/// What to say of what a tenant publishes and gives.
enum TenantFindings {
  /// Metadata is what `isNeeded` says, or only looked at because it tells whether the domain is right.
  static func discovery(
    _ issuer: String, _ document: ClientProbe.Document<ClientProbe.Metadata>, isNeeded: Bool
  ) -> Finding {
    switch document.contents {
    case .success(let metadata):
      let endpoints = metadata.endpoints
      return .ok(
        .discovery, issuer, "tokens at \(endpoints.tokenURL), keys at \(endpoints.jwksURL ?? "none")",
        [("token_url", JSONText.string(endpoints.tokenURL))]
          + (endpoints.jwksURL.map { [("jwks_url", JSONText.string($0))] } ?? []))
    case .failure(let error) where isNeeded:
      let remedy = "Set issuer to the server's own, byte for byte, or name its tokenURL and jwksURL instead."
      return .failed(
        .discovery, issuer, words(error), remedy: error.cause.isTransient ? error.remedy : remedy, facts(error))
    case .failure(let error):
      let remedy =
        "Nothing depends on it, but a tenant has it: see that the domain is the one its tokens name as issuer."
      return .warning(
        .discovery, issuer, words(error), remedy: error.cause.isTransient ? error.remedy : remedy, facts(error))
    }
  }

  /// The client authenticates by `method`, and the metadata offers only others.
  static func authMethod(_ issuer: String, _ method: String, _ offered: [String]) -> Finding {
    let names = offered.prefix(8).map { PrintableText.text($0, limit: 40) }
    return .warning(
      .discovery, issuer,
      "the client authenticates by \(method), which is not among what the server offers: "
        + names.joined(separator: ", "),
      remedy: "If the token is refused, set authMethod to one of these, with the secret, key or certificate for it.",
      [("auth_methods", JSONText.array(names.map { JSONText.string($0) }))])
  }

  static func jwks(_ url: String, _ document: ClientProbe.Document<ClientProbe.PublishedKeys>) -> Finding {
    switch document.contents {
    case .success(let keys) where keys.usable.isEmpty:
      return .failed(
        .jwks, url, "no key in it can be used\(others(keys)), so that no token can be verified",
        remedy:
          "The tenant must publish the key it signs with: RSA of 2048 bits or more, EC or Ed25519, for signing.",
        [("keys", JSONText.number(0))])
    case .success(let keys):
      return .ok(
        .jwks, url,
        "\(keys.usable.count) \(keys.usable.count == 1 ? "key" : "keys"): \(keys.usable.joined(separator: ", "))"
          + others(keys),
        [
          ("keys", JSONText.number(keys.usable.count)),
          ("algorithms", JSONText.array(Set(keys.usable).sorted().map { JSONText.string($0) })),
        ])
    case .failure(let error):
      return .failed(
        .jwks, url, words(error),
        remedy:
          "It must answer with a JSON key set (RFC 7517). If the tenant is down, its status page says so; tokens that "
          + "a broker holds are served meanwhile.", facts(error))
    }
  }

  /// What a client's file of assertions holds. `now` is Unix time in seconds.
  static func assertion(_ file: AssertionFile, now: Double) -> Finding {
    let status = file.status(now: now)
    if let problem = status.problem {
      return .failed(
        .assertion, status.file, problem,
        remedy:
          "See that whatever writes it runs, writes a signed JWT, and replaces it before it expires; and that the "
          + "broker may read it.")
    }
    guard let expiresAt = status.expiresAt else {
      return .ok(.assertion, status.file, "a JWT that does not say its end")
    }
    return .ok(
      .assertion, status.file, "a JWT that is good for \(Int(expiresAt - now)) s",
      [("expires_at", JSONText.number(Int(expiresAt)))])
  }

  private static func others(_ keys: ClientProbe.PublishedKeys) -> String {
    keys.unusable.isEmpty ? "" : " (not usable here: \(keys.unusable.joined(separator: ", ")))"
  }

  /// More than this is worth a word, in seconds.
  static let offsetToWarn = 5.0

  /// `offset` is as in `ClientProbe.Document`.
  static func clock(_ offset: Double?) -> Finding {
    guard let offset else { return .skipped(.clock, nil, "the tenant did not say what time it has") }
    let seconds = Int(abs(offset).rounded())
    let facts: Finding.Facts = [("tenant_ahead_seconds", JSONText.number(offset < 0 ? -seconds : seconds))]
    let remedy = "Keep this machine's clock by NTP; in a container it is the host's. See `date --utc`."
    switch offset {
    case ClientProbe.clockTolerance.nextUp...:
      return .failed(
        .clock, nil,
        "this machine's is \(seconds) s behind the tenant's, so that its tokens seem to be issued in the future",
        remedy: remedy, facts)
    case offsetToWarn.nextUp...:
      return .warning(.clock, nil, "this machine's is \(seconds) s behind the tenant's", remedy: remedy, facts)
    case ..<(-offsetToWarn):
      return .warning(
        .clock, nil, "this machine's is \(seconds) s ahead of the tenant's, and every token's life shorter by that",
        remedy: remedy, facts)
    default: return .ok(.clock, nil, "this machine's and the tenant's differ by \(seconds) s", facts)
    }
  }

  static func token(_ audience: String, _ minted: MintedToken, _ verification: Verification) -> Finding {
    let seconds = Int(minted.mintedAt.duration(to: minted.expiresAt).components.seconds)
    let kind = verification == .jwt ? "a valid token" : "a token that is not verified (opaque)"
    return .ok(
      .token, audience, "\(kind), for \(seconds) s\(minted.scope.map { ", scope \($0)" } ?? "")",
      [("expires_in", JSONText.number(seconds))] + (minted.scope.map { [("scope", JSONText.string($0))] } ?? []))
  }

  static func token(_ audience: String, _ error: TokenError) -> Finding {
    .failed(
      .token, audience, "\(error.cause.rawValue): \(words(error))",
      remedy: error.remedy, facts(error))
  }

  private static func words(_ error: TokenError) -> String {
    error.message + (error.testimony.map { "; \($0)" } ?? "")
  }

  private static func facts(_ error: TokenError) -> Finding.Facts {
    var facts: Finding.Facts = [("error", JSONText.string(error.cause.rawValue))]
    if let status = error.upstreamStatus { facts.append(("upstream_status", JSONText.number(status))) }
    if let id = error.upstreamRequestID { facts.append(("upstream_request_id", JSONText.string(id))) }
    return facts + (error.evidence?.fields ?? []).map { ($0.name, JSONText.string($0.value)) }
  }
}
