import OAuth
import BrokerCore

@testable import HTTPServer
@testable import BrokerAPI

extension FuzzTarget {
  /// What stands behind `/token/` in a request line.
  static let query = FuzzTarget(name: "query") { bytes in
    guard let asked = try read(bytes) else { return }
    let grant = try asked.grant(for: nil)
    for text in [grant.audience, grant.scope ?? "a", grant.organization ?? "a"] {
      try promise("'\(text)' is a text", Audience.problem(with: text) == nil)
    }
    try promise("scopes are in their one order", grant.scope.map { ScopeList.canonical($0) == $0 } ?? true)
    var rewritten = escape(grant.audience) + "?"
    let minTTL = "\(asked.demand.minTTL.components.seconds)"
    for (name, value) in [("organization", grant.organization), ("scope", grant.scope), ("min_ttl", minTTL)] {
      if let value { rewritten += "\(name)=\(escape(value))&" }
    }
    let again = try read(Array(rewritten.utf8))
    try promise(
      "\(asked) is read as written: \(rewritten)",
      (try again?.grant(for: nil)) == grant && again?.demand.minTTL == asked.demand.minTTL)
  }

  private static func read(_ target: [UInt8]) throws -> TokenQuery? {
    let prefix = "GET /token/"
    let request = Array(prefix.utf8) + target + Array(" HTTP/1.1\r\nHost: a\r\n\r\n".utf8)
    let asked = Request()
    var scanner = HeadScanner()
    var limits = Limits()
    limits.requestLineBytes = 64 * 1024
    limits.headBytes = 64 * 1024
    do throws(Rejection) {
      guard try scanner.scan(request.span, limits: limits) == request.count else { return nil }
      try asked.parser.parse(request.span, end: request.count, limits: limits)
    } catch {
      return nil
    }
    let audience = prefix.utf8.count..<asked.path.upperBound
    let query = asked.show(request.span) {
      Result { () throws(Problem) in try TokenQuery(audience: audience, asked) }
    }
    switch query {
    case .success(let query): return query
    case .failure(let problem):
      let known: Set<APIError> = [.invalidAudience, .invalidRequest, .invalidScope]
      try promise("it is the caller's mistake", known.contains(problem.error))
      return nil
    }
  }

  private static func escape(_ text: String) -> String {
    text.utf8.map { "%" + ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }
}
