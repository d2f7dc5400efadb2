import Basics
import HTTPServer
import OAuth

/// The shapes that an error is told in.
enum ErrorShape: Sendable {
  /// Problem details (RFC 9457) with the members of RFC 6749 inside.
  case problemDetails
  /// As OAuth clients know it (RFC 6749 §5.2).
  case oauth
  /// For proxies, which pass it on to whoever asked them: that there is no token, and no word of why.
  case noToken
}

/// An error on its way to a caller.
struct Problem: Error {
  let error: APIError
  /// A sentence for people.
  let description: String
  var audience: String?
  /// Whole seconds after which asking again may help.
  var retryAfter: Int?
  /// For the `WWW-Authenticate` fields.
  var challenge: Challenge?
  /// For the `Allow` field.
  var allowedMethods: String?
  /// nil: the error's own.
  private var status: Int?

  /// How callers are asked who they are: by Basic and by Bearer, so that a client that waits to be asked sends what it
  /// has (RFC 9110 §11.6.1).
  enum Challenge: Sendable {
    case plain
    /// There was a bearer token, which is not good (RFC 6750 §3.1).
    case invalidToken

    /// In fields of their own, for not every client takes lists apart, the scheme first that is usual there.
    func fields(_ shape: ErrorShape) -> [(name: String, value: String)] {
      let realm = "realm=\"token-broker\""
      let bearer = "Bearer \(realm)" + (self == .invalidToken ? ", error=\"invalid_token\"" : "")
      let values = shape == .oauth ? ["Basic \(realm)", bearer] : [bearer, "Basic \(realm)"]
      return values.map { ("WWW-Authenticate", $0) }
    }
  }

  init(
    _ error: APIError, _ description: String, audience: String? = nil, retryAfter: Int? = nil,
    challenge: Challenge? = nil,
    allowedMethods: String? = nil
  ) {
    self.error = error
    self.description = description
    self.audience = audience
    self.retryAfter = retryAfter
    self.challenge = challenge
    self.allowedMethods = allowedMethods
  }

  /// What the server has refused before there was a request for the router.
  init(_ rejection: Rejection) {
    switch rejection.kind {
    case .invalidRequest: self.init(.invalidRequest, "\(rejection.reason)")
    case .noAnswer: self.init(.upstreamTimeout, "\(rejection.reason)")
    case .overLimit, .noRoom: self.init(.overloaded, "\(rejection.reason)", retryAfter: 1)
    }
    status = rejection.status
  }

  /// A caller beyond its own limit.
  static func tooMany(_ wait: Duration) -> Problem {
    Problem(.callerRateLimited, "the caller asks too often", retryAfter: max(1, wait.wholeSecondsUp))
  }

  /// The answer to a caller whose token could not be had, with the time for which that is remembered. `kind` is what it
  /// is told as, if not as usual.
  init(_ error: TokenError, as kind: APIError? = nil, audience: String) {
    self.init(kind ?? APIError(error.cause), error.message, audience: audience)
    let wait = error.retryAfter?.wholeSecondsUp ?? (self.error.isTransient ? 1 : nil)
    retryAfter = wait.map { max(1, $0) }
  }

  /// The answer to a caller whose signed token was not believed.
  init(_ error: JWTVerifier.Failure) {
    switch error {
    case .refused(let reason): self = .unknownToken("the bearer token is refused: \(reason)")
    case .unavailable(let reason, _, let retryAfter):
      self.init(.upstreamUnavailable, reason, retryAfter: max(1, retryAfter.wholeSecondsUp))
    }
  }
}

extension Problem {
  func response(_ shape: ErrorShape, requestID: String) -> Response {
    switch shape {
    case .problemDetails: problemDetails(requestID)
    case .oauth: oauth
    case .noToken: noToken(requestID)
    }
  }

  private func problemDetails(_ requestID: String) -> Response {
    let status = status ?? error.status
    var members: [(name: String, value: [UInt8])] = [
      ("type", JSONText.string("about:blank")),
      ("title", JSONText.string(Response.reason(for: status))),
      ("status", JSONText.number(status)),
      ("error", JSONText.string(error.word)),
      ("error_description", JSONText.string(description)),
    ]
    if let audience { members.append(("audience", JSONText.string(audience))) }
    members.append(("request_id", JSONText.string(requestID)))
    return Response(
      status,
      fields: [("Content-Type", "application/problem+json"), ("Cache-Control", "no-store")]
        + moreFields(.problemDetails),
      body: JSONText.object(members))
  }

  private var oauth: Response {
    Response(
      error.oauthStatus,
      fields: [("Content-Type", "application/json"), ("Cache-Control", "no-store"), ("Pragma", "no-cache")]
        + moreFields(.oauth),
      body: JSONText.object([
        ("error", JSONText.string(error.oauthWord)), ("error_description", JSONText.string(description)),
      ]))
  }

  private func noToken(_ requestID: String) -> Response {
    var response = Response(
      error.proxyStatus,
      fields: [("Content-Type", "application/json"), ("Cache-Control", "no-store")] + waitField,
      body: JSONText.object([
        ("error", JSONText.string("no_token")), ("request_id", JSONText.string(requestID)),
      ]))
    // What somebody asks who may not, too often, or wrongly, is no failure of the broker's.
    if error.status < 500 { response.countedAs = error.status }
    return response
  }

  private var waitField: [(name: String, value: String)] { retryAfter.map { [("Retry-After", "\($0)")] } ?? [] }

  private func moreFields(_ shape: ErrorShape) -> [(name: String, value: String)] {
    // What would be taken instead (RFC 9110 §15.5.16).
    let coding = error == .unsupportedCoding ? [("Accept-Encoding", "identity")] : []
    return waitField + coding + (allowedMethods.map { [("Allow", $0)] } ?? []) + (challenge?.fields(shape) ?? [])
  }
}

extension DeferredResponse {
  func send(_ problem: Problem, _ shape: ErrorShape) { send(problem.response(shape, requestID: requestID)) }
}

extension ResponseWriter {
  func send(_ problem: Problem, _ shape: ErrorShape = .problemDetails, to request: Request) {
    send(problem.response(shape, requestID: request.id))
  }
}

// MARK: Callers that are not recognised

extension Problem {
  static var unknownClient: Problem { unproven("nobody with this client id and secret may have this") }

  static var otherName: Problem { unproven("the client id is not the caller's name") }

  static var unsupportedAssertion: Problem {
    unproven("client_assertion is not supported here: a caller sends its key as client_secret, by Basic or as Bearer")
  }

  static func unknownToken(_ description: String = "the bearer token is no caller's") -> Problem {
    unproven(description, .invalidToken)
  }

  static func noToken(_ description: String) -> Problem { unproven(description) }

  private static func unproven(_ description: String, _ challenge: Challenge = .plain) -> Problem {
    Problem(.invalidCaller, description, challenge: challenge)
  }
}
