import Basics
import BrokerCore
import HTTPServer
import OAuth
import Telemetry

/// One request for a token beyond what its loop holds: who may have it, and getting it, off the loop.
struct TokenService: Sendable {
  let services: Router.Services
  let policy: AccessPolicy
  let query: TokenQuery
  let endpoint: Endpoint
  let representation: Representation

  /// Counts that the request was answered with a problem. Logs that it was denied, or that who sent it asks too often,
  /// and of other problems those that the answer does not tell.
  func note(_ problem: Problem, _ asker: Asker, _ request: @autoclosure () -> RequestIdentity) {
    let (name, audience) = (asker.name, problem.audience ?? query.audience)
    services.metrics.usage.count(problem.error, asker, audience: audience)
    if problem.error.isDenial {
      services.audit.denied(
        name, audience: audience, reason: problem.description, request(), meant: meant(asker, audience))
    } else if let name, problem.error == .callerRateLimited {
      services.audit.limited(name, audience: audience, request())
    } else if endpoint.errors == .noToken {
      services.audit.withheld(problem, name, audience: audience, request())
    }
  }

  /// Finds the audience that a caller probably meant, of those that it may have. That is for operators only: the answer
  /// does not tell what there is.
  private func meant(_ asker: Asker, _ audience: String?) -> (@Sendable () -> NearestAudience?)? {
    guard case .caller(let caller) = asker, let audience, !caller.audiences.contains(Array(audience.utf8)) else {
      return nil
    }
    return { NearestAudience(to: audience, among: caller.audiences.examples) }
  }

  /// For the keys that service accounts' tokens are checked with.
  private static let verificationTimeout = Duration.seconds(5)

  /// For a service account: its token is checked first.
  func serve(_ token: UnverifiedToken, _ request: RequestIdentity, _ answer: DeferredResponse) async {
    var caller: Caller?
    do throws(Problem) {
      let deadline = Instant.now.advanced(by: Self.verificationTimeout)
      let verified = try await policy.verify(token, request, services.audit, deadline: deadline)
      services.tellAll(.verified(verified))
      if let clientID = token.clientID, clientID != verified.caller.name { throw .otherName }
      caller = verified.caller
      try await serve(policy.key(for: query, caller, now: .now), to: caller, request, answer)
    } catch {
      note(error, caller.map { .caller($0) } ?? .unknown, request)
      answer.send(error, endpoint.errors)
    }
  }

  func serve(_ key: TokenKey, to caller: Caller?, _ request: RequestIdentity, _ answer: DeferredResponse) async {
    let payer = policy.payer(of: key, caller)
    do throws(TokenError) {
      let token = try await services.broker.token(key, query.demand, for: request, payer: payer)
      services.metrics.usage.count(nil, Asker(caller), audience: key.audience)
      send(token, answer)
      if let caller { services.audit.given(key, to: caller.name, request) }
    } catch {
      if error.cause == .allowanceUsedUp, let payer {
        services.audit.unpaid(key, payer, name: caller?.name ?? "anyone", request)
      }
      let problem = Problem(error, audience: key.grant.audience)
      note(problem, Asker(caller), request)
      answer.send(problem, endpoint.errors)
    }
  }

  /// With credentials that were brought along: if they are refused, that is their bearer's affair.
  func serve(
    _ key: TokenKey, with credentials: PassThroughCredentials, _ payer: Payer, _ request: RequestIdentity,
    _ answer: DeferredResponse
  ) async {
    let asker = Asker.passThrough(credentials.clientID)
    do throws(TokenError) {
      let token = try await services.broker.token(key, query.demand, with: credentials, for: request, payer: payer)
      services.passThrough.accepted(credentials)
      services.metrics.usage.count(nil, asker, audience: key.audience)
      send(token, answer)
      services.audit.given(key, to: credentials.clientID, request)
    } catch {
      if error.cause == .allowanceUsedUp {
        services.metrics.usage.count(.callerRateLimited, asker, audience: key.audience)
        services.audit.unpaid(key, payer, name: credentials.clientID, request)
        return answer.send(Problem(error, as: .callerRateLimited, audience: key.grant.audience), endpoint.errors)
      }
      let problem = Problem(error, audience: key.grant.audience)
      guard problem.error == .invalidCaller else {
        note(problem, asker, request)
        return answer.send(problem, endpoint.errors)
      }
      note(.unknownClient, .unknown, request)
      answer.send(.unknownClient, endpoint.errors)
    }
  }

  private func send(_ token: CachedToken, _ answer: DeferredResponse) {
    let now = Instant.now
    var response = token.response(representation, now: now)
    if !query.demand.isMet(byLifeOf: token.minted, now: now) { response.fields.append(("X-Min-TTL", "unmet")) }
    answer.send(response)
  }
}

extension AuditLog {
  /// What a proxy was not told. `name` is its own as a caller; nil where it was not recognised.
  func withheld(_ problem: Problem, _ name: String?, audience: String?, _ request: RequestIdentity) {
    withheld(name, audience: audience, error: problem.error.word, reason: problem.description, request)
  }
}
