import Basics
import BrokerCore
import OAuth

/// What nobody may be refused, and what nobody may make the tenant refuse.
extension Simulation {
  /// The caller wants more life than the tenant gives its tokens, as the one that is held shows.
  func isBeyondReach(_ demand: Demand, of key: TokenKey) -> Bool {
    guard case .any = demand.freshness, let token = replica.table[key]?.minted else { return false }
    return demand.minTTL > token.mintedAt.duration(to: token.expiresAt) - .seconds(1)
  }

  func checkRefusal(of caller: Caller, _ error: TokenError) throws(Violation) {
    // A limit is heeded for an hour at the most.
    let limited = tenant.limitedAt?.advanced(by: .seconds(3700)) ?? start
    if error.cause == .upstreamRateLimited, now > limited {
      throw violation("only a 429 makes a limit", caller.key.audience)
    }
    guard error.cause == .allowanceUsedUp else { return }
    guard let payer = payer(of: caller.key), !replica.proven.contains(caller.key) else {
      throw violation("what is known to be good never waits for made-up keys", caller.key.audience)
    }
    if refusals(payer) < Double(scenario.rules.refusalBurst - 1) {
      throw violation("nobody pays for what others ask for", "\(payer) after \(refusals(payer)) refusals")
    }
  }

  /// The tenant, or another broker for it, has refused a key, perhaps one that may be made up.
  func checkRefusal(_ key: TokenKey, _ error: TokenError) throws(Violation) {
    guard let payer = payer(of: key), !replica.proven.contains(key),
      error.cause == .unknownAudience || error.cause == .audienceNotGranted
    else { return }
    replica.refusals[payer] = (refusals(payer) + 1, now)
    // Those in flight when the allowance is used up come too.
    let most = scenario.rules.refusalBurst + scenario.rules.client.maxConcurrent / 2
    if refusals(payer) > Double(most) {
      throw violation("made-up keys cost the tenant no more than an allowance", "\(payer): \(refusals(payer))")
    }
  }

  private func refusals(_ payer: Payer) -> Double {
    guard let (count, at) = replica.refusals[payer] else { return 0 }
    let paidBack = at.duration(to: now) / .seconds(60) * Double(scenario.rules.refusalsPerMinute)
    return max(0, count - paidBack)
  }
}
