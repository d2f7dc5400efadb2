import Basics
import BrokerCore
import HTTPServer
import OAuth

/// What a request asks for: a grant, and what of the token.
struct TokenQuery: Sendable {
  /// nil: the one that the caller is meant to have where it names none.
  var audience: String?
  /// It stands in the request's path, where proxies may have changed it.
  var isAudienceInPath = false
  /// In their one order.
  var scope: String?
  var organization: String?
  var demand = Demand()

  /// Throws where `scope` is no list of scopes.
  init(audience: String?, scope: String?, organization: String?) throws(Problem) {
    self.audience = audience
    self.scope = scope.flatMap { ScopeList.canonical($0) }
    self.organization = organization
    if scope != nil, self.scope == nil {
      throw Problem(.invalidScope, "scope is no list of scopes separated by spaces")
    }
  }

  /// The grant that it is about where `caller` asks. Throws where nothing names an audience.
  func grant(for caller: Caller?) throws(Problem) -> Grant {
    guard let audience = audience ?? caller?.defaultAudience else {
      let reason = caller == nil ? "" : ", and the caller has no defaultAudience"
      throw Problem(.invalidRequest, "audience (or resource) is missing\(reason)")
    }
    return Grant(audience: audience, scope: scope, organization: organization)
  }
}

extension TokenQuery {
  /// Reads the audience, the query, and how fresh the token shall be. Throws the problem to answer with.
  ///
  /// `isForwarded`: a parameter `uri` ends the query, so that a proxy can only add to what it was told to ask.
  init(audience range: Range<Int>, _ request: Request, isForwarded: Bool = false) throws(Problem) {
    let audience = try Self.audience(at: range, request)
    let known = ["scope", "organization", "min_ttl"]
    let parameters = try Self.parameters(of: request, known: known, isForwarded: isForwarded)
    try self.init(audience: audience, scope: parameters["scope"], organization: parameters["organization"])
    isAudienceInPath = true
    if let text = parameters["min_ttl"] {
      guard text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let seconds = UInt32(text) else {
        throw Problem(.invalidRequest, "min_ttl is no whole number of seconds")
      }
      demand.minTTL = .seconds(seconds)
    }
    demand.freshness = try Demand.Freshness(request)
  }

  /// The audience that stands in a path.
  static func audience(at range: Range<Int>, _ request: Request) throws(Problem) -> String {
    guard let audience = request.withBytes({ PercentDecoder.text($0, range) }) else {
      throw Problem(.invalidAudience, "the audience is malformed percent-encoding or no UTF-8")
    }
    if let problem = Audience.problem(with: audience) { throw Problem(.invalidAudience, problem) }
    return audience
  }

  /// The parameters of the query, each of which is `known` and has a value.
  static func parameters(
    of request: Request, known: [String], isForwarded: Bool = false
  ) throws(Problem) -> [String: String] {
    try request.withBytes { bytes throws(Problem) in
      try parameters(request.query, bytes, known: known, isForwarded: isForwarded)
    }
  }

  private static func parameters(
    _ query: Range<Int>?, _ bytes: Span<UInt8>, known: [String], isForwarded: Bool
  ) throws(Problem) -> [String: String] {
    var parameters: [String: String] = [:]
    guard let query else { return [:] }
    var start = query.lowerBound
    while start < query.upperBound {
      let end = (start..<query.upperBound).first { bytes[$0] == UInt8(ascii: "&") } ?? query.upperBound
      let equals = (start..<end).first { bytes[$0] == UInt8(ascii: "=") } ?? end
      if isForwarded, bytes.equals("uri", at: start..<equals) { break }
      let name = PercentDecoder.text(bytes, start..<equals) ?? "%"
      guard known.contains(name) else {
        let expected = known.isEmpty ? "none is known here" : "those known are \(known.joined(separator: ", "))"
        throw Problem(
          .invalidRequest, "unknown query parameter: \(PrintableText.text(name, limit: 64)); \(expected)")
      }
      guard let value = PercentDecoder.formText(bytes, min(equals + 1, end)..<end), !value.isEmpty,
        Audience.problem(with: value) == nil
      else { throw Problem(.invalidRequest, "the query parameter \(name) is empty or malformed") }
      guard parameters.updateValue(value, forKey: name) == nil else {
        throw Problem(.invalidRequest, "the query parameter \(name) stands there twice")
      }
      start = end + 1
    }
    return parameters
  }
}

extension Demand.Freshness {
  /// `Cache-Control: no-cache`: the token that the caller has was refused; `X-Rejected-Token` says which one that was.
  /// Throws the problem to answer with.
  init(_ request: Request) throws(Problem) {
    let directives = request.text(of: "cache-control")?.split(separator: ",") ?? []
    guard directives.contains(where: { $0.trimmingSpaces.lowercased() == "no-cache" }) else {
      self = .any
      return
    }
    guard let hash = request.text(of: "x-rejected-token") else {
      self = .new
      return
    }
    guard hash.utf8.count == 64, hash.utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x66).contains($0) })
    else { throw Problem(.invalidRequest, "X-Rejected-Token is no SHA-256 in 64 lower-case hexadecimal digits") }
    self = .newUnlessReplaced(rejected: hash)
  }
}

extension Substring {
  var trimmingSpaces: Substring {
    var text = drop { $0 == " " || $0 == "\t" }
    while let last = text.last, last == " " || last == "\t" { text.removeLast() }
    return text
  }
}
