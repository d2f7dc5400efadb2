import Basics
import OAuth
import Testing

@testable import BrokerAPI
@testable import BrokerCore
@testable import Telemetry

@Suite struct RenderedTokensTests {
  private static let now = Instant(nanoseconds: 1_000_000_000_000)

  private func token(_ text: String) -> CachedToken {
    let minted = MintedToken(
      accessToken: AccessToken(text), scope: nil, keyID: nil, mintedAt: Self.now,
      expiresAt: Self.now.advanced(by: .seconds(3600)), quota: [], upstreamRequestID: nil)
    let key = TokenKey(client: "a", grant: Grant(audience: "https://a/"))
    return CachedToken(key: key, minted: minted, rules: TokenCache.Rules(), inPlaceOf: nil, now: Self.now)
  }

  @Test("A token is rendered once, for the tables and for all who wait for it")
  func once() {
    let tokens = RenderedTokens(ClientNumbers(), CallerUsage(loops: 1))
    let token = token("t")
    guard case .current(let rendered) = tokens.message(of: .current(token)) else {
      Issue.record("it is not told")
      return
    }
    for _ in 0..<3 { #expect(tokens.rendered(token) === rendered) }
  }

  @Test("A token that has been replaced meanwhile is what its waiters get all the same")
  func replaced() {
    let tokens = RenderedTokens(ClientNumbers(), CallerUsage(loops: 1))
    let (old, new) = (token("old"), token("new"))
    for token in [old, new] { _ = tokens.message(of: .current(token)) }
    #expect(tokens.rendered(old).token === old)
    #expect(tokens.rendered(new).token === new)
  }

  @Test("Of a token that is withdrawn nothing is kept")
  func withdrawn() {
    let tokens = RenderedTokens(ClientNumbers(), CallerUsage(loops: 1))
    let token = token("t")
    weak var kept: RenderedToken?
    if case .current(let rendered) = tokens.message(of: .current(token)) { kept = rendered }
    #expect(kept != nil)
    _ = tokens.message(of: .withdrawn(token.key))
    #expect(kept == nil)
  }
}
