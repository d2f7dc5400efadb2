import IO
import Synchronization
import TestSupport
import Testing

@testable import HTTPServer

/// Listeners with TLS, as real clients meet them.
@Suite(.serialized, .timeLimit(.minutes(1))) struct TLSServerTests {
  /// The body and the version; how curl failed where it did.
  private func curl(_ serving: Serving, _ path: String, _ options: [String], _ more: [String] = []) async throws
    -> String
  {
    let url = "https://127.0.0.1:\(serving.port)\(path)"
    let (status, output, _) = try await ChildProcess.run("curl", options + more + ["-w", " %{http_version}", url])
    return status == 0 ? output : "failed: \(status)"
  }

  @Test("ALPN chooses: HTTP/2 where the client offers it and the server does, else HTTP/1.1, also without ALPN")
  func protocols() async throws {
    let made = try await Certificates.usual()
    try await Serving.run(tls: made.context()) { serving in
      #expect(try await curl(serving, "/x", made.options(), ["--http2"]) == "/x  2")
      #expect(try await curl(serving, "/x", made.options(), ["--http1.1"]) == "/x  1.1")
      #expect(try await curl(serving, "/x", made.options(), ["--no-alpn"]) == "/x  1.1")
      #expect(serving.server.listenerStates[0].http2 <= 1)
      let large = try await curl(serving, "/large", made.options(), ["--http2"])
      #expect(large.utf8.count == 4_000_002)
      let other = try await ChildProcess.run(
        "openssl", ["s_client", "-connect", "127.0.0.1:\(serving.port)", "-alpn", "smtp"])
      #expect(other.status != 0 && other.errors.contains("no application protocol"))
    }
    try await Serving.run(tls: made.context(offersHTTP2: false)) { serving in
      let offered = try await curl(serving, "/x", made.options(), ["--http2"])
      #expect(offered == "/x  1.1")
    }
  }

  @Test("TLS 1.2 and 1.3 are spoken, with forward secrecy; older ones are not")
  func versions() async throws {
    let made = try await Certificates.usual()
    try await Serving.run(tls: made.context()) { serving in
      for version in ["1.2", "1.3"] {
        let options = ["--tlsv\(version)", "--tls-max", version]
        let answer = try await curl(serving, "/x", made.options(), options)
        #expect(answer == "/x  2")
      }
      let old = ["--tlsv1.0", "--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0"]
      #expect(try await curl(serving, "/x", made.options(), old) == "failed: 35")
      let weak = ["--tls-max", "1.2", "--ciphers", "ECDHE-ECDSA-AES128-SHA:AES128-GCM-SHA256"]
      #expect(try await curl(serving, "/x", made.options(), weak) == "failed: 35")
    }
  }

  @Test("A client's certificate gives its names, in both versions of HTTP; without one there are none")
  func names() async throws {
    let made = try await Certificates.usual()
    let clients = TLSContext.Clients.optional(.file(made.certificate("ca")))
    try await Serving.run(tls: made.context(clients: clients)) { serving in
      let names = "spiffe://example.com/ns/reports reports.internal CN=reports,O=Example\\, Inc"
      for (option, version) in [("--http2", "2"), ("--http1.1", "1.1")] {
        let known = try await curl(serving, "/who", made.options(client: "client"), [option])
        #expect(known == "\(names) \(version)")
        #expect(try await curl(serving, "/who", made.options(), [option]) == "nobody \(version)")
      }
    }
  }

  @Test("Where a certificate is required, or one is of an unknown CA, there is no connection without a good one")
  func required() async throws {
    let made = try await Certificates.usual()
    try await made.make("other")
    try await made.make("stranger", issuer: "other", alternativeNames: "URI:spiffe://example.com/ns/reports")
    let authority = PEM.file(made.certificate("ca"))
    for clients in [TLSContext.Clients.required(authority), .optional(authority)] {
      try await Serving.run(tls: made.context(clients: clients)) { serving in
        #expect(try await curl(serving, "/x", made.options(client: "client")) == "/x  2")
        let stranger = try await curl(serving, "/x", made.options(client: "stranger"))
        #expect(stranger.hasPrefix("failed"))
        var isRequired = false
        if case .required = clients { isRequired = true }
        let isRefused = try await curl(serving, "/x", made.options()).hasPrefix("failed")
        #expect(isRefused == isRequired)
      }
    }
  }

  /// How a client fails to come to terms with a server whose clients must show a certificate, and what that is called.
  private static let failing: [(options: [String], failure: TLSHandshakeFailure)] = [
    ([], .clientCertificateMissing), (["--cert", "stranger"], .clientCertificateRefused),
    (["--cert", "expired"], .clientCertificateExpired), (["--cacert", "other"], .serverCertificateRefused),
    (["--tlsv1.0", "--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0"], .protocolVersion),
    (["--tls-max", "1.2", "--ciphers", "ECDHE-ECDSA-AES128-SHA:AES128-GCM-SHA256"], .noCommonCipher),
  ]

  @Test("Of each handshake that fails the handler is told why, and with whom it was")
  func failures() async throws {
    let made = try await Certificates.usual()
    try await made.make("other")
    try await made.make("stranger", issuer: "other")
    try await made.makeExpired("expired", issuer: "ca")
    let clients = TLSContext.Clients.required(.file(made.certificate("ca")))
    for (options, failure) in Self.failing {
      try await Serving.run(tls: made.context(clients: clients)) { serving in
        var arguments: [String] = []
        for option in options {
          switch arguments.last {
          case "--cert": arguments += [made.certificate(option), "--key", made.key(option)]
          case "--cacert": arguments.append(made.certificate(option))
          default: arguments.append(option)
          }
        }
        _ = try await curl(serving, "/x", made.options(), arguments)
        try await eventually("\(failure)") { serving.failures.withLock { !$0.isEmpty } }
        let noted = serving.failures.withLock { $0 }
        #expect(noted.map(\.failure) == [failure] && noted[0].peer.hasPrefix("127.0.0.1:"), "\(options)")
      }
    }
  }

  @Test("A handshake that the client leaves is told, and one that never began or has succeeded is not")
  func abandoned() async throws {
    let made = try await Certificates.usual()
    try await Serving.run(tls: made.context()) { serving in
      try RawClient(port: serving.port).endOutput()
      #expect(try await curl(serving, "/x", made.options()) == "/x  2")
      let noise = try RawClient(port: serving.port)
      try noise.send([0x16, 3, 1, 0, 200, 1, 0, 0])
      noise.endOutput()
      _ = try? await noise.readToEnd()
      let garbage = try RawClient(port: serving.port)
      try garbage.send([0x16, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9])
      _ = try? await garbage.readToEnd()
      try await eventually("both") { serving.failures.withLock { $0.count == 2 } }
      #expect(serving.failures.withLock { $0.map(\.failure) } == [.closed, .notTLS])
    }
  }

  @Test("A handshake that takes too long is told")
  func late() async throws {
    let made = try await Certificates.usual()
    var limits = Limits()
    limits.idleTimeout = .milliseconds(300)
    limits.headTimeout = .milliseconds(300)
    try await Serving.run(limits, tls: made.context()) { serving in
      let client = try RawClient(port: serving.port)
      try client.send([0x16, 3, 1, 0, 200, 1, 0, 0])
      #expect(try await client.readToEnd() == "")
      #expect(serving.failures.withLock { $0.map(\.failure) } == [.timeout])
    }
  }

  @Test("A session is resumed, with the client's names, but not by a context that is another")
  func resumption() async throws {
    let made = try await Certificates.usual()
    let clients = TLSContext.Clients.optional(.file(made.certificate("ca")))
    try await Serving.run(tls: made.context(clients: clients)) { serving in
      let session = "\(made.path)/session"
      defer { made.forget(session) }
      let arguments = [
        "s_client", "-connect", "127.0.0.1:\(serving.port)", "-cert", made.certificate("client"), "-key",
        made.key("client"), "-quiet", "-ign_eof",
      ]
      func ask(_ more: String...) async throws -> (status: Int32, output: String, errors: String) {
        let line = "printf 'GET /who HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n\\r\\n' | openssl \"$@\""
        return try await ChildProcess.run("sh", ["-c", line, "sh"] + arguments + more)
      }
      #expect(try await ask("-sess_out", session).output.contains("reports.internal"))
      let again = try await ask("-sess_in", session, "-msg")
      #expect(again.output.contains("reports.internal"))
      #expect(!again.output.contains("CertificateVerify"), "resumed")
      serving.server.replaceTLS(of: .main, with: try made.context(clients: clients))
      let anew = try await ask("-sess_in", session, "-msg")
      #expect(anew.output.contains("CertificateVerify"), "not resumed")
    }
  }

  @Test("A request in many small records is read whole, however many of them one system call brings")
  func smallRecords() async throws {
    let made = try await Certificates.usual()
    try await Serving.run(tls: made.context()) { serving in
      let line = """
        { printf 'POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 16000\r\nConnection: close\r\n\r\n'; \
        head -c 16000 /dev/zero | tr '\\0' a; } | openssl s_client -connect 127.0.0.1:\(serving.port) -quiet -ign_eof \
        -max_send_frag 512
        """
      let (_, output, _) = try await ChildProcess.run("sh", ["-c", line])
      #expect(output.hasSuffix("/p " + String(repeating: "a", count: 16_000)))
    }
  }

  @Test("Plain HTTP to a port that speaks TLS is told so, whatever the method or version")
  func clearText() async throws {
    let made = try await Certificates.usual()
    try await Serving.run(tls: made.context()) { serving in
      for text in ["GET / HTTP/1.1\r\nHost: a\r\n\r\n", "BREW / HTTP/1.1\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let client = try RawClient(port: serving.port)
        try client.send(text)
        let answer = try await client.readToEnd()
        #expect(answer.hasPrefix("HTTP/1.1 400 ") && answer.contains("this port speaks TLS"))
      }
      let noise = try RawClient(port: serving.port)
      try noise.send([0x16, 3, 1, 0, 5, 1, 2, 3, 4, 5])
      #expect(try await noise.readToEnd().contains("HTTP") == false)
    }
  }

  @Test("New certificates are for new connections; an open one goes on, unless its client would not be let in now")
  func replacing() async throws {
    let made = try await Certificates.usual()
    try await made.make("ca2")
    try await made.make("server2", issuer: "ca", alternativeNames: "IP:127.0.0.1,DNS:second")
    let clients = TLSContext.Clients.optional(.file(made.certificate("ca")))
    try await Serving.run(tls: made.context(clients: clients), loops: 2) { serving in
      func hold(_ client: String?) async throws -> (ChildProcess, DeferredResponse) {
        let url = "https://127.0.0.1:\(serving.port)/held"
        let child = try ChildProcess("curl", made.options(client: client) + [url])
        return (child, await serving.held())
      }
      let (known, knownExchange) = try await hold("client")
      serving.server.replaceTLS(of: .main, with: try made.context(server: "server2", clients: clients))
      let shown = try await ChildProcess.run(
        "curl", made.options() + ["-v", "https://127.0.0.1:\(serving.port)/x"])
      #expect(shown.status == 0 && shown.errors.contains("CN=server2"))
      knownExchange.send(Response(200, body: Array("still here".utf8)))
      #expect(try await known.end() == 0)
      #expect(known.output == "still here")

      let (revoked, revokedExchange) = try await hold("client")
      let (nameless, namelessExchange) = try await hold(nil)
      let others = TLSContext.Clients.optional(.file(made.certificate("ca2")))
      serving.server.replaceTLS(of: .main, with: try made.context(clients: others))
      #expect(try await ![0, 28].contains(revoked.end()), "cut off, not given up by itself")
      revokedExchange.send(Response(200))
      let again = try await curl(serving, "/x", made.options(client: "client"))
      #expect(again.hasPrefix("failed"))
      namelessExchange.send(Response(200, body: Array("still here".utf8)))
      #expect(try await nameless.end() == 0)
      #expect(nameless.output == "still here")
    }
  }

  @Test("What cannot be used is an error that says what, and where")
  func errors() async throws {
    let made = try await Certificates.usual()
    func failure(_ certificate: PEM, _ key: PEM, _ clients: TLSContext.Clients = .anonymous) -> String {
      do throws(TLSError) {
        _ = try TLSContext(certificate: certificate, key: key, clients: clients)
        return ""
      } catch {
        return error.description
      }
    }
    let (certificate, key) = (PEM.file(made.certificate("server")), PEM.file(made.key("server")))
    #expect(failure(certificate, key) == "")
    #expect(failure(.file("/nowhere"), key).hasPrefix("reading the certificate in /nowhere: "))
    #expect(failure(certificate, .text("no key")).hasPrefix("reading the private key: "))
    #expect(failure(certificate, .file(made.key("client"))).contains("does it belong to the certificate?"))
    #expect(failure(certificate, key, .required(.text(""))).hasPrefix("reading the CAs of clients: "))
  }
}
