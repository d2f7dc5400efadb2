import Glibc
import IO
import TestSupport

/// Certificates made with `openssl` in a directory that goes with them.
final class Certificates {
  let path: String
  private var files: [String] = []

  init() throws {
    var template = Array("/tmp/certificates-XXXXXX".utf8CString)
    guard unsafe mkdtemp(&template) != nil else { throw SystemError("mkdtemp", errno) }
    path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  deinit {
    for file in files { unsafe unlink(file) }
    unsafe rmdir(path)
  }

  /// Removes a file that was put beside them.
  func forget(_ file: String) { unsafe unlink(file) }

  func certificate(_ name: String) -> String { "\(path)/\(name).pem" }
  func key(_ name: String) -> String { "\(path)/\(name).key" }

  /// Makes a certificate and its key, signed by `issuer`, or by itself without one.
  func make(
    _ name: String, subject: String? = nil, issuer: String? = nil, alternativeNames: String? = nil
  ) async throws {
    files += [certificate(name), key(name)]
    var arguments = [
      "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
      "-keyout", key(name), "-out", certificate(name), "-subj", subject ?? "/CN=\(name)",
    ]
    if let issuer {
      arguments += [
        "-CA", certificate(issuer), "-CAkey", key(issuer), "-addext", "basicConstraints=critical,CA:FALSE", "-addext",
        "keyUsage=critical,digitalSignature",
      ]
    } else {
      arguments += ["-addext", "keyUsage=critical,digitalSignature,keyCertSign"]
    }
    if let alternativeNames { arguments += ["-addext", "subjectAltName=\(alternativeNames)"] }
    let (status, _, errors) = try await ChildProcess.run("openssl", arguments)
    if status != 0 { throw ChildProcess.Failure(description: errors) }
  }

  /// Makes a certificate that ended yesterday, and its key, signed by `issuer`.
  func makeExpired(_ name: String, issuer: String) async throws {
    files += [certificate(name), key(name)]
    let script = """
      \(OpenSSL.functions)
      openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$1" -subj /CN=expired | \
      openssl x509 -req $(days -1) -CA "$2" -CAkey "$3" -out "$4"
      """
    let arguments = [key(name), certificate(issuer), key(issuer), certificate(name)]
    let (status, _, errors) = try await ChildProcess.run("sh", ["-c", script, "sh"] + arguments)
    if status != 0 { throw ChildProcess.Failure(description: errors) }
  }

  /// A server's certificate for 127.0.0.1, its CA, and a client's with every kind of name.
  static func usual() async throws -> Certificates {
    let made = try Certificates()
    try await made.make("ca")
    try await made.make("server", issuer: "ca", alternativeNames: "IP:127.0.0.1")
    try await made.make(
      "client", subject: "/O=Example, Inc/CN=reports", issuer: "ca",
      alternativeNames: "URI:spiffe://example.com/ns/reports,DNS:reports.internal,email:a@example.com")
    return made
  }

  func context(
    server: String = "server", clients: TLSContext.Clients = .anonymous, offersHTTP2: Bool = true
  ) throws -> TLSContext {
    try TLSContext(
      certificate: .file(certificate(server)), key: .file(key(server)), clients: clients, offersHTTP2: offersHTTP2)
  }

  /// What curl needs to trust the server, and with `client` to prove who it is.
  func options(client: String? = nil) -> [String] {
    let trust = ["-s", "--max-time", "20", "--cacert", certificate("ca")]
    return client.map { trust + ["--cert", certificate($0), "--key", key($0)] } ?? trust
  }
}
