import Foundation
import Testing

@testable import BrokerAPI
@testable import HTTPServer
@testable import Telemetry

@Suite struct RouteTests {
  @Test("A route's place in the table is its endpoint's number, by which metrics count")
  func places() {
    #expect((Route.table + [Route.nothing]).map(\.endpoint.rawValue) == Array(0...Route.table.count))
    #expect(Route.labels.filter(\.givesTokens).map(\.template).count == 4)
    #expect(Route.labels.last?.template == "other")
  }

  @Test(
    "A path leads to one route, with an audience or the path of an issuer beside the route's own",
    arguments: [
      ("/token/https://a/", "/token/", "https://a/"), ("/token", nil, nil), ("/oauth/token", "/oauth/token", ""),
      ("/oauth/token/", "/oauth/token/", ""), ("/oauth/token/a%2Fb/", "/oauth/token/", "a%2Fb/"),
      ("/healthz", "/healthz", ""), ("/healthz/", nil, nil),
      ("/.well-known/openid-configuration", "/.well-known/openid-configuration", ""),
      ("/.well-known/openid-configuration/a/b", "/.well-known/openid-configuration", "/a/b"),
      ("/.well-known/openid-configurations", nil, nil),
      ("/a/v2.0/.well-known/openid-configuration", "/.well-known/openid-configuration", "/a/v2.0"),
      ("/a/.well-known/oauth-authorization-server", "/.well-known/oauth-authorization-server", "/a"),
      ("/.well-known/oauth-authorization-server", "/.well-known/oauth-authorization-server", ""),
      ("/token/x/.well-known/openid-configuration", "/token/", "x/.well-known/openid-configuration"),
    ] as [(String, String?, String?)])
  func match(_ path: String, _ route: String?, _ rest: String?) throws {
    let bytes = Array("GET \(path) HTTP/1.1\r\nHost: a\r\n\r\n".utf8)
    let request = Request()
    try request.parser.parse(bytes.span, end: bytes.count, limits: Limits())
    let found = request.show(bytes.span) {
      Route.table.lazy.compactMap { route in route.match(request).map { (route, request.text(at: $0)) } }.first
    }
    #expect(found.map { "\($0.0.path)" } == route && found?.1 == rest)
  }

  @Test("The description of the API has every route but that for metrics, with its listener")
  func description() throws {
    let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../deploy/openapi.yaml")
    var described: [String: Bool] = [:]
    var path: String?
    for line in try String(contentsOf: file, encoding: .utf8).split(separator: "\n") {
      if let match = line.wholeMatch(of: /[ ]{2}(\/\S*):/) {
        path = String(match.1)
        described[String(match.1)] = false
      } else if let path, line.starts(with: "    servers:") {
        described[path] = true
      }
    }
    let routes = zip(Route.table, Route.labels).filter { $0.0.endpoint != .metrics }
    #expect(described == Dictionary(uniqueKeysWithValues: routes.map { ($1.template, $0.role == .admin) }))
  }
}
