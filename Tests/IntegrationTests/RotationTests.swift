import DevTenant
import Foundation
import TestSupport
import Testing

extension LoadTests {
  /// What a client proves itself with, replaced while requests are under way.
  @Suite struct RotationTests {
    /// Asks for new audiences one after the other, whatever comes of it.
    private static func load(_ broker: BrokerProcess, _ name: String, until done: Flag) async throws {
      let client = try RawClient(port: broker.port)
      var number = 0
      while !done.isRaised {
        number += 1
        try client.send(API.request("\(name)-\(number)"))
        _ = try await client.readResponse()
      }
    }

    @Test(
      "Sixty rotations of the secret's file under load each bring a new audience's token within three seconds",
      arguments: [true, false])
    func sixty(_ tenantIsFirst: Bool) async throws {
      let names = (1...60).map { "rotated-\($0)" }
      let loads = (1...4).flatMap { load in (1...2000).map { "load\(load)-\($0)" } }
      try await withTenant { options in
        options.audiences = Dictionary(uniqueKeysWithValues: (names + loads).map { ($0, []) })
      } _: { tenant in
        tenant.tenant.setLatency(.milliseconds(30))
        let path = try tenant.file("secret", "secret-0")
        let broker = try await tenant.broker(
          configuration: "upstream: {mintsPerMinute: 100000}\n",
          ["AUTH0_CLIENT_SECRET": "", "AUTH0_CLIENT_SECRET_FILE": path])
        let done = Flag()
        tenant.tenant.accept(secrets: ["secret-0"])
        async let first: Void = Self.load(broker, "load1", until: done)
        async let second: Void = Self.load(broker, "load2", until: done)
        for (index, name) in names.enumerated() {
          let secret = "secret-\(index + 1)"
          if tenantIsFirst { tenant.tenant.accept(secrets: [secret]) }
          _ = try tenant.file("secret", secret)
          if !tenantIsFirst { tenant.tenant.accept(secrets: [secret]) }
          try await eventually(within: .seconds(3), "token for \(name)") {
            try await broker.token(name).status == 200
          }
        }
        done.raise()
        _ = try await (first, second)
        try await broker.end()
      }
    }

    @Test("A client's assertion is read from its file, its end is told, and a new one is used at once")
    func assertionFile() async throws {
      func jwt(expiringIn seconds: Int) -> (text: String, end: Int) {
        let end = Int(Date().timeIntervalSince1970) + seconds
        let parts = [#"{"alg":"RS256"}"#, #"{"exp":\#(end)}"#, "signature"]
        let text = parts.map { Data($0.utf8).base64EncodedString().replacing("=", with: "") }.joined(separator: ".")
        return (text, end)
      }
      try await withPeer { connection in
        while connection.request() != nil {
          connection.answer("200 OK", body: #"{"access_token":"t","token_type":"Bearer","expires_in":3600}"#)
        }
      } _: { peer in
        try await withTenant { tenant in
          let old = jwt(expiringIn: -10)
          let path = try tenant.file("assertion", old.text)
          let configuration = """
            clients:
              one: {provider: oauth2, tokenURL: '\(peer.url)/token', clientId: id, clientAssertionFile: \(path)}
            audiences: [{audience: a, client: one, verify: opaque}]

            """
          let broker = try await BrokerProcess(
            environment: ["BROKER_CONFIG": try tenant.file("broker.yaml", configuration)])
          let metric = #"token_broker_client_assertion_expiry_timestamp_seconds{client="one"}"#
          let refused = try await broker.token("a")
          #expect(refused.status == 502 && refused.error == "broker_misconfigured" && peer.requests.isEmpty)
          #expect(try await broker.metrics()[metric] == Double(old.end))
          let new = jwt(expiringIn: 3000)
          _ = try tenant.file("assertion", new.text + "\n")
          try await broker.child.wait(forLog: "the client assertion has changed")
          try await eventually(within: .seconds(3), "token") { try await broker.token("a").status == 200 }
          #expect(peer.requests.last?.contains("client_assertion=\(new.text)") == true)
          #expect(try await broker.metrics()[metric] == Double(new.end))
          let status = try await Answer.curl([broker.adminURL + "/status.json"])
          let client = (status.json["clients"] as? [[String: Any]])?.first
          let assertion = client?["assertion"] as? [String: Any]
          #expect(assertion?["expires_at"] as? Double == Double(new.end) && assertion?["file"] as? String == path)
          try await broker.end()
          #expect(!(broker.child.errors + broker.child.output + status.body + refused.body).contains(new.text))
        }
      }
    }
  }
}
