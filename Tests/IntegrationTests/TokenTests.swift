import DevTenant
import Foundation
import TestSupport
import Testing

extension IntegrationTests {
  /// The main job: the real binary, the development tenant over TLS, real curl.
  @Suite struct TokenTests {
    @Test("A token is minted once, and served with its header fields and what is left of its life")
    func cached() async throws {
      try await withBroker { tenant, broker in
        let first = try await broker.token(API.path)
        let second = try await broker.token(API.path)
        #expect(first.status == 200 && second.status == 200)
        #expect(first.token != nil && first.token == second.token)
        #expect(first.field("content-type") == "application/json")
        #expect(first.field("cache-control") == "no-store" && first.field("pragma") == "no-cache")
        #expect(first.field("x-request-id") != nil)
        #expect(first.json["token_type"] as? String == "Bearer")
        #expect(first.json["scope"] as? String == "read:a write:a")
        let expiresIn = try #require(first.json["expires_in"] as? Int)
        let refreshIn = try #require(first.json["refresh_in"] as? Int)
        #expect((86390..<86400).contains(expiresIn) && (0...expiresIn).contains(refreshIn))
        #expect(tenant.tenant.statistics.mints == 1)
      }
    }

    @Test("An audience is the same encoded and plain, and another one without its slash")
    func audiences() async throws {
      try await withBroker { tenant, broker in
        let encoded = try await broker.token(API.path)
        let plain = try await broker.token("https://api.example.com/")
        let bare = try await broker.token("https://api.example.com")
        #expect(encoded.status == 200 && encoded.token == plain.token)
        #expect(bare.status == 200 && bare.token != encoded.token)
        #expect(
          tenant.tenant.statistics.mintsByAudience == ["https://api.example.com/": 1, "https://api.example.com": 1])
      }
    }

    @Test("A thousand callers of a cold audience cost one mint, and those who leave early disturb nobody")
    func singleFlight() async throws {
      try await withBroker { tenant, broker in
        // Time for all of them to ask before there is a token.
        tenant.tenant.setLatency(.seconds(1))
        let clients = try (0..<1000).map { _ in try RawClient(port: broker.port) }
        for client in clients { try client.send(API.request()) }
        var tokens: Set<String> = []
        for (index, client) in clients.enumerated() where index % 5 == 0 { client.abandon() }
        for (index, client) in clients.enumerated() where index % 5 != 0 {
          let response = try await client.readResponse()
          #expect(response.head.hasPrefix("HTTP/1.1 200 "))
          tokens.insert(response.body.firstMatch(of: /"access_token":"([^"]+)"/).map { String($0.1) } ?? "")
        }
        #expect(tokens.count == 1 && !tokens.contains(""))
        #expect(tenant.tenant.statistics.tokenRequests == 1)
        #expect(try await broker.token(API.path).token == tokens.first)
      }
    }

    @Test("Another scope or organization is another token, another order of the scopes is not")
    func scopes() async throws {
      try await withBroker { tenant, broker in
        let one = try await broker.token("\(API.path)?scope=read:a%20write:a")
        let same = try await broker.token("\(API.path)?scope=write:a+read:a+read:a")
        let narrow = try await broker.token("\(API.path)?scope=read:a")
        let organization = try await broker.token("\(API.path)?scope=read:a&organization=org_1")
        #expect(one.token != nil && one.token == same.token)
        #expect(narrow.json["scope"] as? String == "read:a")
        #expect(Set([one, narrow, organization].map(\.token)).count == 3)
        let denied = try await broker.token("\(API.path)?scope=delete:a")
        #expect(denied.status == 403 && denied.error == "audience_not_granted")
        #expect(tenant.tenant.statistics.mints == 3)
      }
    }

    @Test("OpenSSL verifies the token with the tenant's key set")
    func verifies() async throws {
      try await withBroker { tenant, broker in
        let token = try #require(try await broker.token(API.path).token)
        let ca = try #require(tenant.environment["AUTH0_CA_FILE"])
        let keys = try await Answer.curl(["--cacert", ca, "\(tenant.tenant.baseURL)/.well-known/jwks.json"])
        let key = try #require((keys.json["keys"] as? [[String: String]])?.first)
        let parts = token.split(separator: ".").map(String.init)
        let modulus = try #require(Data(base64URL: key["n"])).map { String(format: "%02x", $0) }.joined()
        let template = try tenant.file(
          "key.cnf",
          """
          asn1=SEQUENCE:spki
          [spki]
          algorithm=SEQUENCE:algorithm
          key=BITWRAP,SEQUENCE:rsa
          [algorithm]
          id=OID:rsaEncryption
          parameters=NULL
          [rsa]
          n=INTEGER:0x\(modulus)
          e=INTEGER:65537
          """)
        let directory = URL(fileURLWithPath: template).deletingLastPathComponent()
        let der = directory.appendingPathComponent("key.der").path
        let made = try await ChildProcess.run("openssl", ["asn1parse", "-genconf", template, "-out", der, "-noout"])
        #expect(made.status == 0, "\(made.errors)")
        let signature = directory.appendingPathComponent("signature")
        try #require(Data(base64URL: parts[2])).write(to: signature)
        let input = try tenant.file("input", "\(parts[0]).\(parts[1])")
        let verdict = try await ChildProcess.run(
          "openssl", ["dgst", "-sha256", "-keyform", "DER", "-verify", der, "-signature", signature.path, input])
        #expect(verdict.status == 0 && verdict.output.contains("Verified OK"), "\(verdict.output) \(verdict.errors)")
      }
    }

    @Test("Who accepts text gets the bare token, and who accepts neither text nor JSON gets 406")
    func representations() async throws {
      try await withBroker { _, broker in
        let json = try await broker.token(API.path)
        let text = try await broker.token(API.path, "-H", "Accept: text/plain")
        #expect(text.field("content-type")?.hasPrefix("text/plain") == true)
        #expect(text.body == json.token)
        let neither = try await broker.token(API.path, "-H", "Accept: image/png")
        #expect(neither.status == 406 && neither.field("content-type") == "application/problem+json")
      }
    }

    @Test("no-cache within the first seconds of a token, and min_ttl beyond its life, cost no mint")
    func guardedRefresh() async throws {
      try await withBroker { tenant, broker in
        let first = try await broker.token(API.path)
        for _ in 0..<5 {
          #expect(try await broker.token(API.path, "-H", "Cache-Control: no-cache").token == first.token)
          let unmet = try await broker.token("\(API.path)?min_ttl=999999")
          #expect(unmet.token == first.token && unmet.field("x-min-ttl") == "unmet")
        }
        #expect(try await broker.token("\(API.path)?min_ttl=600").field("x-min-ttl") == nil)
        #expect(tenant.tenant.statistics.mints == 1)
      }
    }

    /// The ways to ask for a token, each with what the answer has of it.
    enum Way: CaseIterable {
      case get, post, forwardAuth

      func ask(_ broker: BrokerProcess, _ fields: [String]) async throws -> String? {
        let fields = fields.flatMap { ["-H", $0] }
        switch self {
        case .get: return try await Answer.curl(["\(broker.url)/token/\(API.path)"] + fields).token
        case .post:
          let form = ["-d", "grant_type=client_credentials", "-d", "audience=\(API.audience)"]
          return try await Answer.curl(["\(broker.url)/oauth/token"] + form + fields).token
        case .forwardAuth:
          let answer = try await Answer.curl(["\(broker.url)/forward-auth/\(API.path)"] + fields)
          return answer.field("authorization").map { String($0.dropFirst("Bearer ".count)) }
        }
      }
    }

    @Test(
      "no-cache gets a new token however it is asked for, unless the one that was rejected is another by then",
      arguments: Way.allCases)
    func fresh(_ way: Way) async throws {
      try await withBroker(configuration: "cache: {minRefreshInterval: 1s}") { tenant, broker in
        let first = try #require(try await way.ask(broker, []))
        // Until the token is no longer the freshest there is.
        try await eventually("a new token") { try await way.ask(broker, ["Cache-Control: no-cache"]) != first }
        #expect(tenant.tenant.statistics.mints == 2)
        let second = try #require(try await way.ask(broker, ["Cache-Control: max-age=0"]))
        #expect(second != first)
        let rejected = "X-Rejected-Token: \(TestCallers.digest(second))"
        try await eventually("a third token") {
          let stale = ["Cache-Control: max-age=0, no-cache", "X-Rejected-Token: \(TestCallers.digest(first))"]
          #expect(try await way.ask(broker, stale) == second, "that one was replaced already")
          return try await way.ask(broker, ["Cache-Control: no-cache", rejected]) != second
        }
        #expect(tenant.tenant.statistics.mints == 3)
      }
    }

    @Test("A token that expires is replaced, and each request is answered meanwhile")
    func shortLife() async throws {
      try await withBroker([:], { $0.lifetime = 4 }) { tenant, broker in
        let first = try await broker.token(API.path)
        try await eventually("another token") {
          let answer = try await broker.token(API.path)
          #expect(answer.status == 200)
          return answer.token != first.token
        }
        #expect(tenant.tenant.statistics.mints == 2)
      }
    }
  }
}

extension Data {
  fileprivate init?(base64URL text: String?) {
    guard let text else { return nil }
    let standard = text.replacingOccurrences(of: "-", with: "+").replacingOccurrences(of: "_", with: "/")
    self.init(base64Encoded: standard + String(repeating: "=", count: (4 - standard.count % 4) % 4))
  }
}
