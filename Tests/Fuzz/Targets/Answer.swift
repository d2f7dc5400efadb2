import Basics
import HTTPServer

@testable import HTTPClient
@testable import OAuth

extension FuzzTarget {
  /// What a token endpoint answers: a status, fields, an empty line, a body.
  static let answer = FuzzTarget(name: "answer") { bytes in
    let response = read(bytes)
    try readAsToken(response)
    let error = Refusal(response).tokenError(now: 1_700_000_000)
    try check(error, response)
    try promise("the status is kept", error.upstreamStatus == response.status)
    try promise(
      "no wait is endless", error.retryAfter.map { (.zero...RetryHint.longest).contains($0) } ?? true)
    switch response.status {
    case 429: try promise("429 is a limit", error.cause == .upstreamRateLimited)
    case 500...:
      try promise("a failure passes", error.cause.isTransient && error.cause != .overloaded)
    case 401:
      let causes: [TokenError.Cause] = [.brokerMisconfigured, .audienceNotGranted]
      try promise("401 is about the client", causes.contains(error.cause))
    case 404, 405: try promise("what is no answer is a glitch", error.cause == .upstreamGlitch)
    default: try promise("a refusal is not the caller's", error.cause != .invalidCaller)
    }
    try promise("only limits are of an organization", error.cause == .upstreamRateLimited || !error.isOfOrganization)
  }

  private static func read(_ bytes: [UInt8]) -> HTTPClient.Response {
    var rest = bytes[...]
    var lines: [String] = []
    while let end = rest.firstIndex(of: 10) {
      let line = rest[..<end]
      rest = rest[(end + 1)...]
      if line.isEmpty { break }
      lines.append(String(decoding: line, as: UTF8.self))
    }
    let fields = lines.dropFirst().compactMap { line in
      line.firstIndex(of: ":").map {
        (line[..<$0].lowercased(), String(line[line.index(after: $0)...].drop { $0 == " " }))
      }
    }
    // As curl gives it: three digits.
    let status = lines.first.flatMap { Int($0) }.flatMap { (100...999).contains($0) ? $0 : nil } ?? 200
    return HTTPClient.Response(status, Array(rest), fields)
  }

  private static func readAsToken(_ response: HTTPClient.Response) throws {
    let answer: TokenResponse
    do throws(TokenError) {
      answer = try TokenResponse(response)
    } catch {
      let codes: [TokenError.Cause] = [.upstreamGlitch, .invalidUpstreamResponse, .tokenValidationFailed]
      try promise("what is wrong is the answer", codes.contains(error.cause))
      return try check(error, response)
    }
    try promise("a token is one", AccessToken.isWellFormed(answer.accessToken.value))
    try promise(
      "it lives, and not forever", answer.expiresIn.map { (0...TokenResponse.maxLifetime).contains($0) } ?? true)
    var members = [
      (name: "access_token", value: JSONText.string(answer.accessToken.value)),
      (name: "token_type", value: JSONText.string("Bearer")),
    ]
    if let seconds = answer.expiresIn { members.append(("expires_in", JSONText.number(seconds))) }
    if let scope = answer.scope { members.append(("scope", JSONText.string(scope))) }
    let again = try TokenResponse(HTTPClient.Response(200, JSONText.object(members)))
    try promise(
      "it is read as written",
      again.accessToken == answer.accessToken && again.expiresIn == answer.expiresIn
        && Array((again.scope ?? "").utf8) == Array((answer.scope ?? "").utf8))
  }

  /// What people are told is fit for a line of a log, and holds little of what a stranger wrote.
  private static func check(_ error: TokenError, _ response: HTTPClient.Response) throws {
    let isPrintable = error.message.utf8.allSatisfy { (0x20..<0x7F).contains($0) }
    try promise("a message is printable: \(error.message)", isPrintable && error.message.utf8.count < 300)
    let id = error.upstreamRequestID ?? ""
    try promise("so is the id: \(id)", id.utf8.count <= 64 && id.utf8.allSatisfy { (0x20..<0x7F).contains($0) })
    for (name, text) in error.evidence?.fields ?? [] {
      try promise(
        "so is \(name): \(text)", text.utf8.count <= 300 && text.utf8.allSatisfy { (0x20..<0x7F).contains($0) })
    }
  }
}

extension HTTPClient.Response {
  init(_ status: Int, _ body: [UInt8], _ fields: [(name: String, value: String)] = []) {
    let now = Instant(nanoseconds: 1_000_000_000)
    self.init(status: status, fields: fields, body: body, requestedAt: now, receivedAt: now)
  }
}
