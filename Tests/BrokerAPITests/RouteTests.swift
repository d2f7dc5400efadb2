import Foundation
import Testing

@testable import BrokerAPI
@testable import HTTPServer
@testable import Telemetry

@Suite struct RouteTests {
  @Test("A route's place in the table is its endpoint's number, by which metrics count")
  func places() {
    #expect((Route.table + [Route.nothing]).map(\.endpoint.rawValue) == Array(0...Route.table.count))
    #expect(Route.labels.filter(\.givesTokens).map(\.template).count == 3)
    #expect(Route.labels.last?.template == "other")
  }

  @Test("The description of the API has every route but that for metrics, with its listener")
  func description() throws {
    let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../deploy/openapi.yaml")
    var described: [String: Bool] = [:]
    var path: String?
    for line in try String(contentsOf: file, encoding: .utf8).split(separator: "\n") {
      if let match = line.wholeMatch(of: /[ ]{2}(\/\S+):/) {
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
