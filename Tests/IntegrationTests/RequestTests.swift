import DevTenant
import Foundation
import TestSupport
import Testing

extension IntegrationTests {
  /// What is wrong with the request itself, and the routes around the token.
  @Suite struct RequestTests {
    @Test("A wrong request is answered with what is wrong, and costs no request upstream")
    func wrongRequests() async throws {
      let cases: [(String, Int, String)] = [
        ("", 400, "invalid_audience"), ("%", 400, "invalid_audience"), ("%2", 400, "invalid_audience"),
        ("%zz", 400, "invalid_audience"), ("%ff", 400, "invalid_audience"), ("a%00b", 400, "invalid_audience"),
        ("a%0d%0ab", 400, "invalid_audience"), ("a%c2%85", 400, "invalid_audience"),
        (String(repeating: "a", count: 2049), 400, "invalid_audience"),
        ("a?nope=1", 400, "invalid_request"), ("a?scope=x&scope=y", 400, "invalid_request"),
        ("a?scope=", 400, "invalid_request"), ("a?scope=%22", 400, "invalid_scope"),
        ("a?scope=+", 400, "invalid_scope"),
        ("a?min_ttl=%2B5", 400, "invalid_request"), ("a?min_ttl=-1", 400, "invalid_request"),
        ("a?min_ttl=1.5", 400, "invalid_request"),
        ("a?min_ttl=99999999999", 400, "invalid_request"), ("a?organization=%", 400, "invalid_request"),
      ]
      try await withBroker { tenant, broker in
        for (path, status, error) in cases {
          let answer = try await broker.token(path)
          #expect(answer.status == status && answer.error == error, "\(path.prefix(40)): \(answer.body)")
          #expect(answer.field("cache-control") == "no-store")
          #expect(answer.json["request_id"] as? String == answer.field("x-request-id"))
        }
        let hash = try await broker.token("a", "-H", "Cache-Control: no-cache", "-H", "X-Rejected-Token: ABC")
        #expect(hash.status == 400 && hash.error == "invalid_request")
        #expect(tenant.tenant.statistics.tokenRequests == 0)
      }
    }

    @Test(
      "Audiences are never normalised", arguments: ["a//b", "a/../b", "./a", "a+b", "a%2525", "ä", "A", "a?", "%3F"])
    func notNormalised(_ path: String) async throws {
      try await withBroker { _, broker in
        let answer = try await broker.token(path.replacingOccurrences(of: "ä", with: "%C3%A4"))
        let audience = path == "%3F" ? "?" : path == "a?" ? "a" : path.replacingOccurrences(of: "%25", with: "%")
        #expect(answer.status == 404 && answer.error == "unknown_audience")
        #expect(answer.json["audience"] as? String == audience)
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

    @Test("Every field of a list is read, and an empty Accept asks for nothing")
    func lists() async throws {
      try await withBroker { _, broker in
        let api = "https://api.example.com/"
        let both = try await broker.token(api, "-H", "Accept: image/png", "-H", "Accept: text/plain")
        #expect(both.field("content-type")?.hasPrefix("text/plain") == true)
        let empty = try await broker.token(api, "-H", "Accept;")
        #expect(empty.status == 200 && empty.token != nil)
        let odd = try await broker.token(api, "-H", "Accept: application/json;q=nan")
        #expect(odd.status == 406)
      }
    }

    @Test("Methods and paths that are not there are refused as such")
    func routes() async throws {
      try await withBroker { _, broker in
        for path in ["/token/a", "/healthz", "/readyz"] {
          let answer = try await Answer.curl(["-X", "POST", broker.url + path])
          #expect(answer.status == 405 && answer.field("allow") == "GET, HEAD", "\(path)")
        }
        for url in [broker.url + "/", broker.url + "/token", broker.url + "/Token/a", broker.adminURL + "/token/a"] {
          #expect(try await Answer.curl([url]).error == "not_found", "\(url)")
        }
        for url in [broker.url, broker.adminURL] {
          for probe in ["/healthz", "/readyz"] {
            let answer = try await Answer.curl([url + probe])
            #expect(answer.status == 200 && answer.body == #"{"status":"ok"}"#)
          }
        }
        let head = try await Answer.curl(["--head", broker.url + "/token/https://api.example.com/"])
        #expect(head.status == 200 && head.body.isEmpty && head.field("content-length").flatMap { Int($0) } ?? 0 > 100)
      }
    }

    @Test("A closed list of audiences is closed before anything is asked upstream")
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
