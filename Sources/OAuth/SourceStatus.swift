package import Basics

/// What a client proves itself with and what it checks tokens by, for those who look after it: no secret is in it.
package struct SourceStatus: Sendable {
  /// How the client authenticates, in the words of OAuth's registry of methods.
  package let authentication: String
  /// Algorithm and `kid` of its private key; nil where it has none.
  package let assertionKey: String?
  package let secrets: [SecretStatus]
  /// nil for a client whose assertions, if any, are made here.
  package let assertion: AssertionStatus?
  /// nil until it is known, and where tokens are not checked.
  package let issuer: String?
  /// nil where there is none.
  package let keySet: KeySetStatus?
}

/// One of a client's secrets.
package struct SecretStatus: Sendable {
  /// See `Secret.fingerprint`.
  package let fingerprint: String
  /// When the broker was given it; nil for one that has been replaced, and is tried only where the new one is refused.
  package let since: Instant?
  /// When the tenant last took it.
  package let acceptedAt: Instant?
}

/// A tenant's published keys.
package struct KeySetStatus: Sendable {
  package struct Key: Sendable {
    package let id: String?
    /// What it signs with where the key says so, else what kind of key it is.
    package let algorithm: String
  }

  package let keys: [Key]
  package let fetchedAt: Instant?
  /// Why the last request for them failed; nil if it did not.
  package let problem: String?
  /// Not asked for again before; nil: whenever a token is to be checked.
  package let nextFetch: Instant?
}

extension TokenSource {
  package var status: SourceStatus {
    get async {
      let endpoints = await endpoints.known
      let keySet = await keys.status
      let authentication = client.authentication
      return SourceStatus(
        authentication: authentication.name, assertionKey: authentication.assertionKey,
        secrets: client.secrets?.status ?? [], assertion: authentication.assertionFile?.status(now: WallClock.now),
        issuer: endpoints?.issuer ?? client.issuer,
        keySet: client.issuer == nil && endpoints?.jwksURL == nil ? nil : keySet)
    }
  }
}

extension ClientAuthentication {
  /// As in the registry of RFC 8414 §2's token_endpoint_auth_methods.
  package var name: String { registeredNames[0] }

  /// The same, and what else a server may call it (RFC 8705 §2.2).
  var registeredNames: [String] {
    switch self {
    case .secretPost: ["client_secret_post"]
    case .secretBasic: ["client_secret_basic"]
    case .privateKeyJWT, .assertionFile: ["private_key_jwt"]
    case .tlsClient: ["tls_client_auth", "self_signed_tls_client_auth"]
    }
  }

  fileprivate var assertionKey: String? {
    guard case .privateKeyJWT(let key, _) = self else { return nil }
    return key.algorithm.rawValue + (key.keyID.map { ", kid \($0)" } ?? "")
  }
}
