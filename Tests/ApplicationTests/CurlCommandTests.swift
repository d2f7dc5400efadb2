import BrokerAPI
import Testing

@testable import Application

/// The way of each command line through a real broker is in `DevTests`.
@Suite struct CurlCommandTests {
  private static let audience = "https://api.example.com/"
  private static let path = "/token/https%3A%2F%2Fapi.example.com%2F"

  private struct Case: CustomTestStringConvertible {
    let testDescription: String
    let command: CurlCommand
    let line: String
  }

  private static func command(
    _ address: String, tls: CurlCommand.TLS? = nil, requiresProxy: Bool = false, key: String? = nil,
    guards: RequestGuards = RequestGuards()
  ) -> CurlCommand {
    CurlCommand(
      address: address, audience: audience, tls: tls, requiresProxy: requiresProxy, key: key, guards: guards)
  }

  private static func tls(_ name: String?, wantsCertificate: Bool = false) -> CurlCommand.TLS {
    CurlCommand.TLS(file: "/a b/tls.crt", name: name, wantsCertificate: wantsCertificate)
  }

  private static let cases = [
    Case(testDescription: "HTTP", command: command("127.0.0.1:9"), line: "curl http://127.0.0.1:9\(path)"),
    Case(testDescription: "every interface", command: command("[::]:9"), line: "curl 'http://[::1]:9\(path)'"),
    Case(
      testDescription: "a Unix socket", command: command("unix:/it's"),
      line: #"curl --unix-socket '/it'\''s' http://localhost\#(path)"#),
    Case(
      testDescription: "a certificate for the address", command: command("0.0.0.0:9", tls: tls("127.0.0.1")),
      line: "curl --cacert '/a b/tls.crt' https://127.0.0.1:9\(path)"),
    Case(
      testDescription: "a certificate for the IPv6 address", command: command("[::1]:9", tls: tls("::1")),
      line: "curl --cacert '/a b/tls.crt' 'https://[::1]:9\(path)'"),
    Case(
      testDescription: "a certificate for a name that nobody else may be asked by",
      command: command("127.0.0.1:9", tls: tls("a.internal")),
      line: "curl --cacert '/a b/tls.crt' --connect-to ::127.0.0.1:9 -H 'Host: localhost' https://a.internal:9\(path)"),
    Case(
      testDescription: "a certificate without a name", command: command("127.0.0.1:9", tls: tls(nil)),
      line: "curl --insecure https://127.0.0.1:9\(path)"),
    Case(
      testDescription: "certificates of clients",
      command: command("127.0.0.1:9", tls: tls("127.0.0.1", wantsCertificate: true), key: "tb_k"),
      line: "curl --cacert '/a b/tls.crt' --cert YOUR-CERTIFICATE.pem --key ITS-KEY.pem "
        + "-H 'Authorization: Bearer tb_k' https://127.0.0.1:9\(path)"),
    Case(
      testDescription: "the PROXY protocol", command: command("127.0.0.1:9", requiresProxy: true),
      line: "curl --haproxy-protocol http://127.0.0.1:9\(path)"),
    Case(
      testDescription: "guards",
      command: command(
        "127.0.0.1:9", guards: RequestGuards(allowedHosts: ["b", "a"], requiredField: (name: "x-a", value: "b"))),
      line: "curl -H 'Host: a' -H 'x-a: b' http://127.0.0.1:9\(path)"),
    Case(
      testDescription: "the address is an allowed host",
      command: command("127.0.0.1:9", guards: RequestGuards(allowedHosts: ["127.0.0.1:9"])),
      line: "curl http://127.0.0.1:9\(path)"),
  ]

  @Test("A command line has what its listener and its caller take, quoted for a shell", arguments: cases)
  private func line(_ example: Case) {
    #expect(example.command.description == example.line)
  }
}
