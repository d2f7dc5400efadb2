import DevTenant
import Foundation
import TestSupport
import Testing

extension LoadTests {
  /// Listeners with TLS, and callers known by their certificates.
  @Suite struct TLSTests {
    @Test("Who shows a caller's certificate is that caller, and nobody else is, by HTTP/1.1 and HTTP/2")
    func certificates() async throws {
      try await withSecureBroker { _, broker in
        func ask(_ name: String?, _ arguments: String...) async throws -> Answer {
          try await Answer.curl([broker.secureURL] + broker.options(name) + arguments)
        }
        for version in ["--http1.1", "--http2"] {
          let answer = try await ask("caller", version)
          #expect(answer.status == 200 && answer.head.hasPrefix(version == "--http2" ? "HTTP/2 " : "HTTP/1.1 "))
          #expect(try await ask("stranger", version).status == 401)
          #expect(try await ask(nil, version).status == 401)
        }
        await #expect(throws: ChildProcess.Failure.self) { try await ask("other") }
        let wrong = try await Answer.curl([broker.secureURL.replacing("https:", with: "http:")])
        #expect(wrong.status == 400)
        #expect(try await Answer.curl([broker.plainURL, "--http2-prior-knowledge"]).status == 401)
      }
    }

    @Test("A denial has what the certificate shows and where it came from, and a handshake that fails has its reason")
    func denials() async throws {
      try await withSecureBroker { _, broker in
        let answer = try await Answer.curl([broker.secureURL] + broker.options("stranger"))
        #expect(answer.status == 401 && answer.body.contains("no name of the certificate is a caller's"))
        try await broker.child.wait(forLog: "\"denied\"")
        let line = try #require(broker.child.errors.split(separator: "\n").first { $0.contains("\"denied\"") })
        #expect(line.contains(#""certificate_uris":"spiffe://example.com/billing2""#), "\(line)")
        #expect(line.contains(#""certificate_subject":"CN=stranger""#) && line.contains(#""peer":"127.0.0.1:"#))

        for _ in 0..<3 {
          await #expect(throws: ChildProcess.Failure.self) {
            try await Answer.curl([broker.secureURL] + broker.options("other"))
          }
        }
        try await broker.child.wait(forLog: "\"a TLS handshake has failed\"")
        let failures = broker.child.errors.split(separator: "\n").filter { $0.contains("handshake has failed") }
        #expect(failures.count == 1 && failures[0].contains(#""error":"client_certificate_refused""#), "\(failures)")
        #expect(failures[0].contains(#""peer":"127.0.0.1:"#) && failures[0].contains(#""reason":""#))
      }
    }

    /// One program that asks without end, on connections that stay and on new ones, in both versions of HTTP.
    private func load(_ broker: SecureBroker, as name: String) throws -> ChildProcess {
      let script = Repository.path("Tests/IntegrationTests/Clients/tls_load.py")
      return try ChildProcess(
        "/usr/bin/python3", [script, broker.secureURL, broker.authority] + broker.identity(name))
    }

    /// Waits until it has been answered more in each of its ways, or has failed.
    private func more(_ load: ChildProcess) async throws {
      let lines = load.output.split(separator: "\n").count
      _ = try await load.wait(for: "answers") { child in
        child.output.split(separator: "\n").count >= lines + 2 || !child.errors.isEmpty ? true : nil
      }
    }

    @Test("Certificate and CAs replaced under load fail no request, but those of the caller whose CA is gone")
    func reload() async throws {
      try await withSecureBroker(authorities: ["ca.crt", "otherca.crt"]) { tenant, broker in
        let (staying, leaving) = (try load(broker, as: "caller"), try load(broker, as: "other"))
        try await more(staying)
        try await more(leaving)

        // By the change of the file alone, then with a signal.
        try broker.show("renewed")
        try await broker.child.wait(forLog: BrokerProcess.reloaded, times: 1)
        try await more(staying)
        let verbose = try await ChildProcess.run(
          "curl", [broker.secureURL, "--silent", "--verbose"] + broker.options("caller"))
        #expect(verbose.errors.contains("CN=renewed") && verbose.output.contains("access_token"))
        broker.child.signal(SIGHUP)
        try await broker.child.wait(forLog: BrokerProcess.reloaded, times: 2)
        for round in 3...6 {
          try broker.show(round % 2 == 0 ? "renewed" : "server")
          try await broker.child.wait(forLog: BrokerProcess.reloaded, times: round)
        }
        try await more(leaving)
        #expect(staying.errors == "" && leaving.errors == "")

        try broker.accept(authorities: ["ca.crt"])
        try await broker.child.wait(forLog: BrokerProcess.reloaded, times: 7)
        // It ends at its first failure.
        #expect(try await leaving.end() == 1)
        #expect(leaving.errors.contains("failed"))
        await #expect(throws: ChildProcess.Failure.self) {
          try await Answer.curl([broker.secureURL] + broker.options("other"))
        }
        for round in 8...12 {
          try broker.accept(authorities: round % 2 == 0 ? ["ca.crt", "otherca.crt"] : ["ca.crt"])
          try await broker.child.wait(forLog: BrokerProcess.reloaded, times: round)
        }
        try await more(staying)
        staying.signal(SIGTERM)
        #expect(try await staying.end() == 0)
        #expect(staying.errors == "")
        #expect(tenant.tenant.statistics.mints == 1)
      }
    }
  }
}
