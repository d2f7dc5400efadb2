import Basics
import Crypto
import Foundation
import HTTPClient
import IO
import Synchronization
import TestSupport
import Testing

@testable import OAuth

/// How old a signed token is taken to be, whatever it says of that itself.
@Suite(.timeLimit(.minutes(1))) struct TokenLifeTests {
  private let key = P256.Signing.PrivateKey()
  private let grant = Grant(audience: "a")
  private static let issuer = "https://tenant.test/"

  init() { ThisProcess.ignoreFailingWrites() }

  private var keySet: String {
    let raw = key.publicKey.rawRepresentation
    return #"{"keys":[{"kty":"EC","crv":"P-256","kid":"k","x":"\#(Base64URL.encode(raw.prefix(32)))","#
      + #""y":"\#(Base64URL.encode(raw.suffix(32)))"}]}"#
  }

  /// A token that was issued `age` seconds ago, by what it says, and ends in `left` seconds.
  private func token(age: Int, left: Int) throws -> String {
    let now = Int(Date().timeIntervalSince1970)
    let claims = #"{"iss":"\#(Self.issuer)","aud":"a","iat":\#(now - age),"exp":\#(now + left)}"#
    let input = "\(Base64URL.encode(#"{"alg":"ES256","kid":"k"}"#.utf8)).\(Base64URL.encode(claims.utf8))"
    return "\(input).\(Base64URL.encode(try key.signature(for: Data(input.utf8)).rawRepresentation))"
  }

  /// A source whose tenant gives these tokens, one after the other.
  private func withTokens(_ tokens: [String], _ body: (TokenSource) async throws -> Void) async throws {
    let left = Mutex(tokens[...])
    try await withPeer { [keySet] connection in
      while let request = connection.request() {
        let token = request.hasPrefix("GET") ? nil : left.withLock { $0.popFirst() }
        connection.answer("200 OK", body: token.map { #"{"access_token":"\#($0)"}"# } ?? keySet)
      }
    } _: { peer in
      let client = try OAuthClient(
        name: "test", clientID: "c", authentication: .secretPost(ClientSecrets([Secret("s".utf8)])),
        location: .fixed(Endpoints(tokenURL: peer.url + "/token", jwksURL: peer.url + "/keys", issuer: Self.issuer)))
      try await body(TokenSource(client: client, http: try HTTPClient()))
    }
  }

  @Test("A token's life is what was left of it when it came, however long ago it says it was issued")
  func backDated() async throws {
    try await withTokens([token(age: 3600, left: 60), token(age: 0, left: 60)]) { source in
      for _ in 0..<2 {
        let token = try await source.mint(grant, deadline: inSeconds(10))
        #expect(token.lifetime == token.mintedAt.duration(to: token.expiresAt), "\(token.lifetime)")
      }
    }
  }

  @Test("A token that is repeated goes on with the life that it had when it came first")
  func repeated() async throws {
    let token = try token(age: 0, left: 60)
    try await withTokens([token, token, self.token(age: 60, left: 30)]) { source in
      let first = try await source.mint(grant, deadline: inSeconds(10))
      let second = try await source.mint(grant, deadline: inSeconds(10))
      #expect(second.mintedAt > first.mintedAt && second.lifetime >= first.lifetime)
      #expect(second.lifetime > second.mintedAt.duration(to: second.expiresAt))
      let other = try await source.mint(grant, deadline: inSeconds(10))
      #expect(other.lifetime == other.mintedAt.duration(to: other.expiresAt))
    }
  }

  @Test("After a restart a token's life is what the store says of it, and goes on when it is repeated")
  func restarted() async throws {
    let token = try token(age: 3600, left: 30)
    try await withTokens([token]) { source in
      let wallNow = WallClock.now
      let kept = StoredToken(
        accessToken: AccessToken(token), scope: nil, mintedAt: wallNow - 30, expiresAt: wallNow + 30, lifetime: 90)
      let restored = try await source.revalidate(for: kept, grant, deadline: inSeconds(10))
      let again = try await source.mint(grant, deadline: inSeconds(10))
      #expect(restored.lifetime == .seconds(90) && again.lifetime == .seconds(90))
    }
  }
}
