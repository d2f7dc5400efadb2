import Basics
import HTTPServer
import OAuth
import BrokerCore
import Telemetry

/// One request for a token beyond what its loop holds: who may have it, and getting it, off the loop.
struct TokenService: Sendable {
  let services: Router.Services
  let routing: AccessPolicy
  let query: TokenQuery
  let representation: Representation

  /// The token this request is about, counted against the caller's limit. Throws what to answer if it may not have it.
  func key(for caller: Caller?, now: Instant) throws(ProblemError) -> TokenKey {
    if let wait = caller?.admit(now: now) {
      throw ProblemError(.tooMany(wait))
    }
    return try routing.key(for: query.grant, caller)
  }

  /// Notes the denial, and returns it.
  func denied(_ caller: Caller?, _ problem: Problem, _ request: RequestIdentity) -> Problem {
    services.audit.denied(caller, audience: query.grant.audience, reason: problem.description, request)
    return problem
  }

  /// For the keys that service accounts' tokens are checked with.
  private static let proofTimeout = Duration.seconds(5)

  /// For a service account: its token is checked first.
  func serve(
    unproven token: [UInt8], _ digest: SHA256Digest, clientID: String?, _ request: RequestIdentity,
    _ answer: LaterAnswer
  ) async {
    var caller: Caller?
    do throws(ProblemError) {
      let deadline = Instant.now.advanced(by: Self.proofTimeout)
      let proof = try await routing.prove(token, digest, deadline: deadline)
      services.tellAll(.proven(proof))
      if let clientID, clientID != proof.caller.name { throw ProblemError(Authenticator.otherName) }
      caller = proof.caller
      try await serve(key(for: caller, now: .now), to: caller, request, answer)
    } catch {
      let isDenial = [401, 403].contains(error.problem.status)
      answer.send(isDenial ? denied(caller, error.problem, request) : error.problem)
    }
  }

  /// With credentials that were brought along: if they are refused, that is their bearer's affair.
  func serve(
    _ key: TokenKey, with credentials: PassThroughCredentials, _ request: RequestIdentity, _ answer: LaterAnswer
  ) async {
    do throws(TokenError) {
      let token = try await services.broker.token(key, with: credentials, for: request)
      if let holder = key.holder { services.passThrough.accepted(holder) }
      answer.send(RenderedToken(token).response(representation, now: .now))
      services.audit.given(key, to: credentials.clientID, request)
    } catch {
      let isRefused = error.cause == .invalidCaller
      answer.send(
        isRefused ? denied(nil, Authenticator.unknownClient, request) : Problem(error, audience: key.grant.audience))
    }
  }

  func serve(_ key: TokenKey, to caller: Caller?, _ request: RequestIdentity, _ answer: LaterAnswer) async {
    do throws(TokenError) {
      let token = try await services.broker.token(key, query.demand, for: request)
      answer.send(RenderedToken(token).response(representation, now: .now))
      if let caller { services.audit.given(key, to: caller.name, request) }
    } catch {
      answer.send(Problem(error, audience: key.grant.audience))
    }
  }
}

extension Problem {
  /// A caller beyond its own limit.
  static func tooMany(_ wait: Duration) -> Problem {
    Problem(503, "overloaded", "the caller asks too often", retryAfter: max(1, wait.wholeSecondsUp))
  }

  /// The answer to a caller whose token could not be had.
  init(_ error: TokenError, audience: String) {
    self.init(
      error.cause.status, error.cause.rawValue, error.message, audience: audience,
      retryAfter: error.cause.status == 503 ? max(1, error.retryAfter?.wholeSecondsUp ?? 1) : nil)
  }
}
