import DevTenant
import Foundation
import TestSupport
import Testing

extension IntegrationTests {
  /// What the broker says of itself to clients that begin with that.
  @Suite struct MetadataTests {
    private static let names = ["oauth-authorization-server", "openid-configuration"]

    private func read(_ url: String, _ more: String...) async throws -> Answer { try await Answer.curl([url] + more) }

    @Test("The issuer is what the client calls the broker, where that can be relied on", arguments: names)
    func issuer(_ name: String) async throws {
      let callers = TestCallers()
      try await withBroker(configuration: callers.text + "allowedHosts: [broker.internal]\n") { tenant, broker in
        let host = ["-H", "Host: broker.internal"]
        for (path, end) in [("/\(name)", ""), ("/\(name)/t/v2.0", "/t/v2.0")] {
          let answer = try await Answer.curl(["\(broker.url)/.well-known\(path)"] + host)
          #expect(answer.json["issuer"] as? String == "http://broker.internal" + end, "\(answer.body)")
          #expect(answer.json["token_endpoint"] as? String == "http://broker.internal/oauth/token")
          #expect(answer.json["jwks_uri"] as? String == "\(tenant.tenant.baseURL)/.well-known/jwks.json")
        }
        #expect(try await read("\(broker.url)/.well-known/\(name)").status == 403)
      }
    }

    @Test("With publicURL nothing of the request decides but the path of the issuer", arguments: names)
    func publicURL(_ name: String) async throws {
      let callers = TestCallers()
      let configuration = callers.text + "publicURL: https://gw.example/broker/\n"
      try await withBroker(configuration: configuration) { _, broker in
        for path in ["/.well-known/\(name)", "/.well-known/\(name)/broker"] {
          let answer = try await read(broker.url + path, "-H", "Host: evil.example")
          #expect(answer.json["issuer"] as? String == "https://gw.example/broker")
          #expect(answer.json["token_endpoint"] as? String == "https://gw.example/broker/oauth/token")
        }
        let beneath = try await read("\(broker.url)/t/v2.0/.well-known/\(name)")
        #expect(beneath.json["issuer"] as? String == "https://gw.example/broker/t/v2.0")
        #expect(try await read("\(broker.url)/a%2Fb/.well-known/\(name)").status == 404)
        #expect(try await read("\(broker.url)/.well-known/\(name)/../x").status == 404)
      }
    }

    @Test("Without publicURL only a loopback name is believed, and the scheme is the listener's")
    func loopback() async throws {
      try await withSecureBroker { _, broker in
        let document = "/.well-known/openid-configuration"
        let plain = "http://127.0.0.1:\(broker.plainPort)"
        #expect(try await read(plain + document).json["issuer"] as? String == plain)
        let evil = try await read(plain + document, "-H", "Host: evil.example")
        #expect(evil.status == 404 && !evil.body.contains("evil"))
        let secure = "https://127.0.0.1:\(broker.securePort)"
        let answer = try await read(secure + document, "--cacert", broker.authority)
        #expect(answer.json["issuer"] as? String == secure)
      }
    }
  }
}
