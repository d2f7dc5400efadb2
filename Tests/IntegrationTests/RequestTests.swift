import DevTenant
import Foundation
import TestSupport
import Testing

extension IntegrationTests {
  /// What is wrong with the request itself, and the routes around the token.
  @Suite struct RequestTests {
    @Test("A request that is wrong is answered 400 and its error, without a request upstream")
    func wrongRequests() async throws {
      try await withBroker { tenant, broker in
        for (path, error) in Self.wrong {
          let answer = try await broker.token(path)
          #expect(answer.status == 400 && answer.error == error, "\(path.prefix(40)): \(answer.body)")
          #expect(answer.field("cache-control") == "no-store")
          #expect(answer.json["request_id"] as? String == answer.field("x-request-id"))
        }
        #expect(tenant.tenant.statistics.tokenRequests == 0)
      }
    }

    private static let wrong =
      ["", "%", "%2", "%zz", "%ff", "a%00b", "a%0d%0ab", "a%c2%85", String(repeating: "a", count: 2049)]
      .map { ($0, "invalid_audience") }
      + [
        "a?nope=1", "a?scope=x&scope=y", "a?scope=", "a?min_ttl=%2B5", "a?min_ttl=-1", "a?min_ttl=1.5",
        "a?min_ttl=99999999999", "a?organization=%",
      ].map { ($0, "invalid_request") } + ["a?scope=%22", "a?scope=+"].map { ($0, "invalid_scope") }

    @Test("A rejected token that is no digest is answered 400")
    func wrongDigest() async throws {
      try await withBroker { tenant, broker in
        let answer = try await broker.token("a", "-H", "Cache-Control: no-cache", "-H", "X-Rejected-Token: ABC")
        #expect(answer.status == 400 && answer.error == "invalid_request")
        #expect(tenant.tenant.statistics.tokenRequests == 0)
      }
    }

    @Test("Audiences are never normalised")
    func notNormalised() async throws {
      let paths = ["a//b", "a/../b", "./a", "a+b", "a%2525", "%C3%A4", "A", "a?", "%3F"]
      let audiences = ["a//b", "a/../b", "./a", "a+b", "a%25", "\u{E4}", "A", "a", "?"]
      try await withBroker { _, broker in
        for (path, audience) in zip(paths, audiences) {
          let answer = try await broker.token(path)
          #expect(answer.status == 404 && answer.error == "unknown_audience", "\(path)")
          #expect(answer.json["audience"] as? String == audience)
        }
      }
    }

    @Test("A scoped token is not to be had by naming its scope inside the audience")
    func scopeInAudience() async throws {
      try await withBroker { _, broker in
        let scoped = try await broker.token("https://api.example.com/?scope=read:a&organization=org_1")
        #expect(scoped.status == 200)
        for byte in ["%00", "%01", "%02", "%FF"] {
          for rest in ["read:a", "org_1", "read:a\(byte)org_1"] {
            let answer = try await broker.token("https://api.example.com/\(byte)\(rest)")
            #expect(answer.status == 400 && answer.error == "invalid_audience")
          }
        }
      }
    }

    @Test("Of several Accept fields each is read")
    func severalAccepts() async throws {
      try await withBroker { _, broker in
        let both = try await broker.token(API.path, "-H", "Accept: image/png", "-H", "Accept: text/plain")
        #expect(both.field("content-type")?.hasPrefix("text/plain") == true)
      }
    }

    @Test("An empty Accept is answered as if there were none")
    func emptyAccept() async throws {
      try await withBroker { _, broker in
        let empty = try await broker.token(API.path, "-H", "Accept;")
        #expect(empty.status == 200 && empty.token != nil)
      }
    }

    @Test("A quality that is no number accepts nothing")
    func oddQuality() async throws {
      try await withBroker { _, broker in
        let odd = try await broker.token(API.path, "-H", "Accept: application/json;q=nan")
        #expect(odd.status == 406)
      }
    }

    @Test("A method that a path does not have is answered 405", arguments: ["/token/a", "/healthz", "/readyz"])
    func methods(_ path: String) async throws {
      try await withBroker { _, broker in
        let answer = try await Answer.curl(["-X", "POST", broker.url + path])
        #expect(answer.status == 405 && answer.field("allow") == "GET, HEAD")
      }
    }

    @Test("A path that is not there, or on the other listener, is answered 404")
    func paths() async throws {
      try await withBroker { _, broker in
        for url in [broker.url + "/", broker.url + "/token", broker.url + "/Token/a", broker.adminURL + "/token/a"] {
          let answer = try await Answer.curl([url])
          #expect(answer.status == 404 && answer.error == "not_found", "\(url)")
        }
      }
    }

    @Test("The root of the admin listener leads to the status page")
    func adminRoot() async throws {
      try await withBroker { _, broker in
        let answer = try await Answer.curl([broker.adminURL + "/"])
        #expect(answer.status == 302 && answer.field("location") == "/status")
      }
    }

    @Test("Probes are answered on both listeners", arguments: ["/healthz", "/readyz"])
    func probes(_ path: String) async throws {
      try await withBroker { _, broker in
        for url in [broker.url, broker.adminURL] {
          let answer = try await Answer.curl([url + path])
          #expect(answer.status == 200 && answer.body == #"{"status":"ok"}"#)
        }
      }
    }

    @Test("HEAD is answered as GET is, without the body")
    func head() async throws {
      try await withBroker { _, broker in
        let head = try await Answer.curl(["--head", "\(broker.url)/token/\(API.path)"])
        #expect(head.status == 200 && head.body.isEmpty && head.field("content-length").flatMap { Int($0) } ?? 0 > 100)
      }
    }

    @Test("An audience that is not on a closed list is refused without a request upstream")
    func closedList() async throws {
      try await withBroker(["BROKER_AUDIENCES": "https://api.example.com/, https://other.example.com/"]) {
        tenant, broker in
        let listed = try await broker.token("https://api.example.com/")
        #expect(listed.status == 200)
        #expect(try await broker.token("https://api.example.com").error == "unknown_audience")
        #expect(try await broker.token("https://ledger.example.com/").error == "unknown_audience")
        #expect(tenant.tenant.statistics.tokenRequests == 1)
      }
    }
  }
}
