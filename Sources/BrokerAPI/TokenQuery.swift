import HTTPServer
import OAuth
import BrokerCore

/// What a request asks for: a grant, and what of the token.
struct TokenQuery: Sendable {
  var grant: Grant
  var demand = Demand()

  init(grant: Grant) {
    self.grant = grant
  }

  /// Reads the audience and the query. Throws the problem to answer with.
  ///
  /// `isForwarded`: header fields are those of the request that a proxy asks about, and say nothing of the token. A
  /// parameter `uri` ends the query, so that a proxy can only add to what it was told to ask.
  init(
    audience range: Range<Int>, _ head: borrowing RequestHead, _ bytes: Span<UInt8>, isForwarded: Bool = false
  ) throws(ProblemError) {
    guard let audience = PercentDecoder.text(bytes, range) else {
      throw ProblemError(400, "invalid_audience", "the audience is malformed percent-encoding or no UTF-8")
    }
    if let problem = Audience.problem(with: audience) { throw ProblemError(400, "invalid_audience", problem) }
    let parameters = try Self.parameters(head.query, bytes, isForwarded: isForwarded)
    var scope: String?
    if let text = parameters["scope"] {
      scope = ScopeList.canonical(text)
      if scope == nil { throw ProblemError(400, "invalid_scope", "scope is no list of scopes separated by spaces") }
    }
    grant = Grant(audience: audience, scope: scope, organization: parameters["organization"])
    if let text = parameters["min_ttl"] {
      guard text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let seconds = UInt32(text) else {
        throw ProblemError(400, "invalid_request", "min_ttl is no whole number of seconds")
      }
      demand.minTTL = .seconds(seconds)
    }
    if !isForwarded, head.asksForFresh(bytes) {
      demand.freshness = .new
      if let hash = head.text(of: "x-rejected-token", in: bytes) {
        guard hash.utf8.count == 64, hash.utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x66).contains($0) })
        else {
          throw ProblemError(
            400, "invalid_request", "X-Rejected-Token is no SHA-256 in 64 lower-case hexadecimal digits")
        }
        demand.freshness = .newUnlessReplaced(rejected: hash)
      }
    }
  }

  private static let known = ["scope", "organization", "min_ttl"]

  private static func parameters(
    _ query: Range<Int>?, _ bytes: Span<UInt8>, isForwarded: Bool
  ) throws(ProblemError) -> [String: String] {
    var parameters: [String: String] = [:]
    guard let query else { return [:] }
    var start = query.lowerBound
    while start < query.upperBound {
      let end = (start..<query.upperBound).first { bytes[$0] == UInt8(ascii: "&") } ?? query.upperBound
      let equals = (start..<end).first { bytes[$0] == UInt8(ascii: "=") } ?? end
      if isForwarded, bytes.equals("uri", at: start..<equals) { break }
      guard let name = PercentDecoder.text(bytes, start..<equals), known.contains(name) else {
        throw ProblemError(
          400, "invalid_request", "unknown query parameter; those known are \(known.joined(separator: ", "))")
      }
      guard let value = PercentDecoder.formText(bytes, min(equals + 1, end)..<end), !value.isEmpty,
        Audience.problem(with: value) == nil
      else { throw ProblemError(400, "invalid_request", "the query parameter \(name) is empty or malformed") }
      guard parameters.updateValue(value, forKey: name) == nil else {
        throw ProblemError(400, "invalid_request", "the query parameter \(name) stands there twice")
      }
      start = end + 1
    }
    return parameters
  }
}

extension RequestHead {
  /// `Cache-Control: no-cache`: the token the caller has was refused.
  func asksForFresh(_ bytes: Span<UInt8>) -> Bool {
    guard let value = text(of: "cache-control", in: bytes) else { return false }
    return value.split(separator: ",").contains { $0.trimmingSpaces.lowercased() == "no-cache" }
  }
}

/// A problem thrown on the way to an answer.
struct ProblemError: Error {
  let problem: Problem

  init(_ problem: Problem) {
    self.problem = problem
  }

  init(_ status: Int, _ error: String, _ description: String, audience: String? = nil) {
    problem = Problem(status, error, description, audience: audience)
  }
}

extension Substring {
  var trimmingSpaces: Substring {
    var text = drop { $0 == " " || $0 == "\t" }
    while let last = text.last, last == " " || last == "\t" { text.removeLast() }
    return text
  }
}
