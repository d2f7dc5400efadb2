import Basics
import HTTPClient
import IO
import Synchronization
import TestSupport
import Testing

@testable import OAuth

/// Opaque tokens of servers that say little of them, or repeat them until they end.
@Suite(.timeLimit(.minutes(1))) struct OpaqueTokenTests {
  init() { ThisProcess.ignoreFailingWrites() }

  private let grant = Grant(audience: "a")

  /// A source whose tenant gives these answers, one after the other.
  private func withAnswers(
    _ bodies: [String], lifetime: Duration? = nil, _ body: (TokenSource) async throws -> Void
  ) async throws {
    let left = Mutex(bodies[...])
    try await withPeer { connection in
      while connection.request() != nil {
        connection.answer("200 OK", body: left.withLock { $0.popFirst() } ?? "")
      }
    } _: { peer in
      let client = try OAuthClient(
        name: "test", clientID: "c", authentication: .secretPost(ClientSecrets([Secret("s".utf8)])),
        location: .fixed(Endpoints(tokenURL: peer.url)), tokenLifetime: lifetime)
      try await body(TokenSource(client: client, http: try HTTPClient()))
    }
  }

  private func mint(_ source: TokenSource, holder: SHA256Digest? = nil) async throws -> MintedToken {
    try await source.mint(grant, verify: .opaque, holder: holder, deadline: inSeconds(10))
  }

  private func answer(_ token: String, _ seconds: Int? = nil) -> String {
    #"{"access_token":"\#(token)"\#(seconds.map { #","expires_in":\#($0)"# } ?? "")}"#
  }

  private func life(_ token: MintedToken) -> Duration { token.mintedAt.duration(to: token.expiresAt) }

  @Test(
    "Where the server does not say how long its token lives, the configuration does, or the error names the setting")
  func unknownLife() async throws {
    try await withAnswers([answer("00Dxx!AQ")]) { source in
      let error = await #expect(throws: TokenError.self) { try await mint(source) }
      #expect(error?.cause == .invalidUpstreamResponse && error?.message.contains("lifetime") == true)
    }
    try await withAnswers([answer("00Dxx!AQ"), answer("b", 60)], lifetime: .seconds(7200)) { source in
      var token = try await mint(source)
      #expect(life(token) == .seconds(7200))
      token = try await mint(source)
      #expect(life(token) == .seconds(60), "what the server says counts")
    }
  }

  @Test("A token that is repeated keeps the whole of its life in mind, and another begins anew")
  func repeated() async throws {
    try await withAnswers([answer("a", 60), answer("a", 30), answer("a", 7), answer("b", 7)]) { source in
      for (left, whole) in [(60, 60), (30, 60), (7, 60), (7, 7)] {
        let token = try await mint(source)
        #expect(life(token) == .seconds(left) && token.lifetime == .seconds(whole))
      }
    }
  }

  @Test("A repeated token that does not say how long it lives ends when it would have ended")
  func repeatedUnknownLife() async throws {
    try await withAnswers([answer("a"), answer("a")], lifetime: .seconds(60)) { source in
      let (first, second) = (try await mint(source), try await mint(source))
      #expect(first.expiresAt == second.expiresAt && second.mintedAt > first.mintedAt)
      #expect(second.lifetime == .seconds(60))
    }
  }

  @Test("A token of assumed life that is repeated just after its end has not begun another")
  func repeatedAtItsEnd() {
    let (memory, key, start) = (TokenMemory(), TokenMemory.Key(grant: grant, holder: nil), Instant.now)
    func life(at seconds: Int) -> TokenMemory.Life? {
      memory.life(
        of: AccessToken("a"), for: key, asked: start.advanced(by: .seconds(seconds)), stated: nil,
        assumed: .seconds(3600))
    }
    #expect(life(at: 0) == life(at: 3601))
    #expect(life(at: 7300)?.expiresAt == start.advanced(by: .seconds(10_900)))
  }

  @Test("A token without any life is a fault that passes where it is repeated, and else no answer")
  func lifeless() async throws {
    try await withAnswers([answer("a", 60), answer("a", 0), answer("b", 0)]) { source in
      _ = try await mint(source)
      for cause in [TokenError.Cause.upstreamUnavailable, .invalidUpstreamResponse] {
        let error = await #expect(throws: TokenError.self) { try await mint(source) }
        #expect(error?.cause == cause && (error?.retryAfter == nil) == (cause == .invalidUpstreamResponse))
      }
    }
  }

  @Test("After a restart a token that comes from a store is known when it is repeated")
  func restarted() async throws {
    try await withAnswers([answer("a", 30)]) { source in
      let wallNow = WallClock.now
      let kept = StoredToken(
        accessToken: AccessToken("a"), scope: nil, mintedAt: wallNow - 30, expiresAt: wallNow + 30, lifetime: 90)
      let restored = try await source.revalidate(for: kept, grant, verify: .opaque, deadline: inSeconds(10))
      let token = try await mint(source)
      #expect(restored.lifetime == .seconds(90) && token.lifetime == .seconds(90))
    }
  }
}
