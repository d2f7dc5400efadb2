package import Basics
package import OAuth

/// What a configuration says of one client: all that its tokens are asked for with.
package struct UpstreamSpec: Sendable {
  /// What the client's values in a store are sealed with.
  package enum Sealing: Sendable {
    /// Nothing of it is kept in a store.
    case none
    /// Its own secrets.
    case ownSecrets
    /// Keys that all clients share, the newest first.
    case keys([Secret])
  }

  package let client: OAuthClient
  package let connection: ServerConnection
  /// Where its secrets are read from again when they change, by whoever watches files.
  package var secretFile: String?
  /// Whether clients of their own may ask through it, with the credentials that they bring.
  package var isPassThrough: Bool
  package var sealing: Sealing
  /// What the other files that it names hold, by their paths: certificates, keys, authorities.
  package var files: [String: SHA256Digest]

  package init(
    client: OAuthClient, connection: ServerConnection, secretFile: String? = nil, isPassThrough: Bool = false,
    sealing: Sealing = .none, files: [String: SHA256Digest] = [:]
  ) {
    self.client = client
    self.connection = connection
    self.secretFile = secretFile
    self.isPassThrough = isPassThrough
    self.sealing = sealing
    self.files = files
  }

  package var name: String { client.name }

  /// Whether what was made for `other`, a client of the same identity, will do for this one too: its connections, what
  /// it has discovered and the keys that it has read. Secrets may differ, for they can be replaced.
  func canTakeOver(_ other: UpstreamSpec) -> Bool {
    connection == other.connection && isPassThrough == other.isPassThrough && files == other.files
      && client.authentication.isLike(other.client.authentication)
      && client.tokenLifetime == other.client.tokenLifetime
  }

  /// What its values in a store are sealed with now; nil if nothing of it is kept there. `unverified` has the audiences
  /// whose tokens are not checked.
  func vault(unverified: some Sequence<[UInt8]>) -> Vault? {
    let secrets =
      switch sealing {
      case .none: [Secret]()
      case .ownSecrets: client.secrets?.candidates ?? []
      case .keys(let keys): keys
      }
    return Vault(secrets: secrets, identity: client.identity, unverified: unverified)
  }
}

extension ClientAuthentication {
  /// The same method with the same parameters. What is in files is not compared, nor are secrets.
  fileprivate func isLike(_ other: ClientAuthentication) -> Bool {
    switch (self, other) {
    case (.secretPost, .secretPost): true
    case (.secretBasic(_, let encoding), .secretBasic(_, let otherEncoding)): encoding == otherEncoding
    case (.assertionFile(let file), .assertionFile(let otherFile)):
      file.path == otherFile.path && file.kind == otherFile.kind
    case (.privateKeyJWT(let key, let audience), .privateKeyJWT(let otherKey, let otherAudience)):
      audience == otherAudience && key.algorithm == otherKey.algorithm && key.keyID == otherKey.keyID
    case (.tlsClient(let identity), .tlsClient(let otherIdentity)): identity == otherIdentity
    default: false
    }
  }
}
