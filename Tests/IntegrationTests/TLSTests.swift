import DevTenant
import Foundation
import TestSupport
import Testing

extension IntegrationTests {
  /// Listeners with TLS, and callers known by their certificates.
  @Suite struct TLSTests {
    private static let path = "/token/https%3A%2F%2Fapi.example.com%2F"

    /// An authority, a server, and two clients of which one is a caller; `other` is of an authority of its own.
    private static let preparations = """
      authority() {
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $1.key -out $1.crt -subj /CN=$1 -days 2
      }
      sign() {
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $1.key -out $1.csr -subj /CN=$1
        echo "subjectAltName=$3" > $1.ext
        openssl x509 -req -in $1.csr -CA $2.crt -CAkey $2.key -CAcreateserial -out $1.crt -extfile $1.ext -days 2
      }
      authority ca; authority otherca
      sign server ca IP:127.0.0.1; sign renewed ca IP:127.0.0.1
      sign caller ca URI:spiffe://example.com/billing; sign stranger ca URI:spiffe://example.com/billing2
      sign other otherca URI:spiffe://example.com/billing
      """

    private static func configuration(_ directory: String, server: String = "server", more: String = "") -> String {
      """
      listen: ["127.0.0.1:0", "https://127.0.0.1:0"]
      tls: {certificateFile: \(directory)\(server).crt, keyFile: \(directory)\(server).key, clientCAFile: \(directory)ca.crt}
      callers: {billing: {clientCertificate: ["spiffe://example.com/billing"], audiences: ["*"]}}
      \(more)
      """
    }

    @Test("A caller is known by its certificate, over HTTP/1.1 and HTTP/2; certificates are changed under load")
    func certificates() async throws {
      try await withTenant { tenant in
        let file = try tenant.file("broker.yaml", "")
        let directory = String(file.dropLast("broker.yaml".count))
        let made = try await ChildProcess.run("sh", ["-ec", "cd \"$0\"\n\(Self.preparations)", directory])
        #expect(made.status == 0, "\(made.errors)")
        _ = try tenant.file("broker.yaml", Self.configuration(directory))
        var environment = tenant.environment.merging(["BROKER_CONFIG": file, "BROKER_ADMIN_LISTEN": "off"]) { $1 }
        environment["BROKER_LISTEN"] = nil
        let broker = try ChildProcess(BrokerProcess.executable, ["serve"], environment: environment)
        let (plain, secure) = try await broker.wait(for: "serving line") { child in
          let ports = child.errors.matches(of: /127\.0\.0\.1:(\d+)/).compactMap { UInt16($0.1) }
          return child.errors.contains("\"serving\"") && ports.count >= 2 ? (ports[0], ports[1]) : nil
        }
        let url = "https://127.0.0.1:\(secure)\(Self.path)"
        func ask(_ name: String?, _ arguments: String...) async throws -> Answer {
          let identity = name.map { ["--cert", "\(directory)\($0).crt", "--key", "\(directory)\($0).key"] } ?? []
          return try await Answer.curl([url, "--cacert", "\(directory)ca.crt"] + identity + arguments)
        }
        for version in ["--http1.1", "--http2"] {
          let answer = try await ask("caller", version)
          #expect(answer.status == 200 && answer.head.hasPrefix(version == "--http2" ? "HTTP/2 " : "HTTP/1.1 "))
          #expect(try await ask("stranger", version).status == 401)
          #expect(try await ask(nil, version).status == 401)
        }
        await #expect(throws: ChildProcess.Failure.self) { try await ask("other") }
        let wrong = try await Answer.curl(["http://127.0.0.1:\(secure)\(Self.path)"])
        #expect(wrong.status == 400)
        let plainURL = "http://127.0.0.1:\(plain)\(Self.path)"
        #expect(try await Answer.curl([plainURL, "--http2-prior-knowledge"]).status == 401)

        // Another certificate, while one request follows the other.
        _ = try tenant.file("broker.yaml", Self.configuration(directory, server: "renewed", more: "workers: 2\n"))
        _ = try await broker.wait(for: "reload") { child -> Bool? in
          child.errors.contains("\"the configuration was read again\"") ? true : nil
        }
        let verbose = try await ChildProcess.run(
          "curl",
          [
            url, "--silent", "--verbose", "--cacert", "\(directory)ca.crt", "--cert", "\(directory)caller.crt", "--key",
            "\(directory)caller.key",
          ])
        #expect(verbose.errors.contains("CN=renewed") && verbose.output.contains("access_token"))
        broker.signal(SIGTERM)
        #expect(try await broker.end() == 0)
      }
    }
  }
}
