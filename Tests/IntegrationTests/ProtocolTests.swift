import DevTenant
import Foundation
import TestSupport
import Testing

extension IntegrationTests {
  /// Every way in, with clients that nobody here wrote.
  @Suite struct ProtocolTests {
    @Test("Real clients get the same token by HTTP/1.1 and HTTP/2, over TCP, TLS and a Unix socket")
    func clients() async throws {
      try await withSecureBroker { tenant, broker in
        let proof = "Authorization: Bearer \(broker.key)"
        let first = try await Answer.curl([broker.plainURL, "-H", proof])
        let token = try #require(first.token)

        let socket = ["--unix-socket", broker.socket, broker.plainURL]
        let secure = [broker.secureURL] + broker.options("caller")
        for (arguments, version) in [
          ([broker.plainURL, "-H", proof, "--http2-prior-knowledge"], "HTTP/2"), (socket, "HTTP/1.1"),
          (socket + ["--http2-prior-knowledge"], "HTTP/2"), (secure + ["--http1.1"], "HTTP/1.1"),
          (secure + ["--http2"], "HTTP/2"),
        ] {
          let answer = try await Answer.curl(arguments)
          #expect(answer.head.hasPrefix("\(version) 200") && answer.token == token, "\(arguments)")
        }

        let identity = zip(["--cert", "--key"], broker.identity("caller")).map { "\($0)=\($1)" }
        for arguments in [[broker.plainURL, "--header=\(proof)"], [broker.secureURL] + identity] {
          let nghttp = try await ChildProcess.run("nghttp", ["--timeout=20", "--multiply=50"] + arguments)
          #expect(nghttp.status == 0 && nghttp.output.components(separatedBy: token).count == 51, "\(nghttp.errors)")
        }

        let script = Repository.path("Tests/IntegrationTests/Clients/httpx_client.py")
        let httpx = try await ChildProcess.run(
          "/usr/bin/python3", [script, broker.secureURL, broker.authority] + broker.identity("caller"))
        #expect(httpx.status == 0 && httpx.output == token + "\n", "\(httpx.errors)")
        #expect(tenant.tenant.statistics.mints == 1)
      }
    }

    @Test("OPTIONS * is answered, on both listeners")
    func options() async throws {
      try await withBroker { _, broker in
        for (port, status) in [(broker.port, 404), (broker.adminPort, 405)] {
          let client = try RawClient(port: port)
          try client.send("OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n")
          #expect(try await client.readResponse().head.hasPrefix("HTTP/1.1 200 "))
          try client.send("OPTIONS / HTTP/1.1\r\nHost: localhost\r\n\r\n")
          #expect(try await client.readResponse().head.hasPrefix("HTTP/1.1 \(status) "))
        }
      }
    }

    @Test("A body with a Content-Encoding is answered 415, which says how to send it")
    func coded() async throws {
      try await withBroker { _, broker in
        let url = ["\(broker.url)/oauth/token", "-d", "grant_type=client_credentials&audience=\(API.path)"]
        let coded = try await Answer.curl(url + ["-H", "Content-Encoding: gzip"])
        #expect(coded.status == 415 && coded.error == "invalid_request")
        #expect(coded.field("accept-encoding") == "identity")
        #expect(try await Answer.curl(url + ["-H", "Content-Encoding: identity"]).status == 200)
      }
    }
  }
}
