import DevTenant
import Foundation
import TestSupport

/// The real binary with a listener of each kind: TCP, TLS and a Unix socket. Callers show the certificate of billing,
/// the key of billing, or that they run as this test's user.
struct SecureBroker {
  let child: ChildProcess
  let plainPort, securePort: UInt16
  let socket: String
  /// The caller's key.
  let key = "tb_\(UUID().uuidString)"
  private let tenant: Tenant
  private let directory: String

  private static let path = "/token/https%3A%2F%2Fapi.example.com%2F"

  /// An authority, a server with two certificates, and two clients of which one is a caller; `other` is the same caller
  /// by an authority of its own.
  private static let preparations = """
    authority ca; authority otherca
    sign server ca; sign renewed ca
    sign caller ca URI:spiffe://example.com/billing; sign stranger ca URI:spiffe://example.com/billing2
    sign other otherca URI:spiffe://example.com/billing
    cat server.crt server.key > shown.pem; cp ca.crt clients.crt
    """

  /// `authorities` are those of clients.
  fileprivate init(_ tenant: Tenant, authorities: [String]) async throws {
    self.tenant = tenant
    let file = try tenant.file("broker.yaml", "")
    directory = String(file.dropLast("broker.yaml".count))
    socket = directory + "socket"
    try await OpenSSL.run(Self.preparations, in: directory)
    var environment = tenant.environment.merging(["BROKER_CONFIG": file, "BROKER_ADMIN_LISTEN": "off"]) { $1 }
    environment["BROKER_LISTEN"] = nil
    _ = try tenant.file("broker.yaml", Self.configuration(directory, key))
    try Self.join(authorities, in: directory, as: "clients.crt")
    child = try ChildProcess(BrokerProcess.executable, ["serve"], environment: environment)
    (plainPort, securePort) = try await child.wait(for: "serving line") { child in
      let ports = child.errors.matches(of: /127\.0\.0\.1:(\d+)/).compactMap { UInt16($0.1) }
      return child.errors.contains("\"serving\"") && ports.count >= 2 ? (ports[0], ports[1]) : nil
    }
  }

  private static func configuration(_ directory: String, _ key: String) -> String {
    """
    listen: ["127.0.0.1:0", "https://127.0.0.1:0", "unix:\(directory)socket"]
    tls: {certificateFile: \(directory)shown.pem, keyFile: \(directory)shown.pem, clientCAFile: \(directory)clients.crt}
    callers:
      billing:
        clientCertificate: ["spiffe://example.com/billing"]
        bearerSHA256: [\(TestCallers.digest(key))]
        unixUser: ["\(getuid())"]
        audiences: ["*"]

    """
  }

  private static func join(_ names: [String], in directory: String, as file: String) throws {
    let text = try names.map { try String(contentsOfFile: directory + $0, encoding: .utf8) }.joined()
    try text.write(toFile: directory + file, atomically: true, encoding: .utf8)
  }

  // MARK: Asking

  var plainURL: String { "http://127.0.0.1:\(plainPort)\(Self.path)" }
  var secureURL: String { "https://127.0.0.1:\(securePort)\(Self.path)" }
  var authority: String { directory + "ca.crt" }
  /// The certificate of a client, and its key.
  func identity(_ name: String) -> [String] { ["\(directory)\(name).crt", "\(directory)\(name).key"] }

  /// What curl needs to reach the listener with TLS as this client.
  func options(_ name: String?) -> [String] {
    let identity = name.map(identity) ?? []
    return ["--cacert", authority] + zip(["--cert", "--key"], identity).flatMap { [$0, $1] }
  }

  // MARK: Changing

  /// Puts another certificate in the place of the server's.
  func show(_ name: String) throws { try Self.join(["\(name).crt", "\(name).key"], in: directory, as: "shown.pem") }

  func accept(authorities: [String]) throws { try Self.join(authorities, in: directory, as: "clients.crt") }
}

/// Runs a tenant and a broker around `body`.
func withSecureBroker(
  authorities: [String] = ["ca.crt"], _ body: (Tenant, SecureBroker) async throws -> Void
) async throws {
  try await withTenant { tenant in
    let broker = try await SecureBroker(tenant, authorities: authorities)
    try await body(tenant, broker)
    broker.child.signal(SIGTERM)
    let status = try await broker.child.end()
    if status != 0 { throw ChildProcess.Failure(description: broker.child.errors) }
  }
}
