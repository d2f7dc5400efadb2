import DevTenant
import Foundation
import IO
import TestSupport

/// The real binary, serving on ephemeral loopback ports.
struct BrokerProcess {
  let child: ChildProcess
  /// Of the main and of the admin listener.
  let port: UInt16
  let adminPort: UInt16

  /// Beside the test program, where the same build has put it.
  static var executable: String {
    let tests = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
    return tests.deletingLastPathComponent().appendingPathComponent("token-broker").path
  }

  static let loopback = ["BROKER_LISTEN": "127.0.0.1:0", "BROKER_ADMIN_LISTEN": "127.0.0.1:0"]

  /// Starts it, with at most `descriptors` if that is given, and waits until it serves.
  init(_ arguments: [String] = [], environment: [String: String], descriptors: Int? = nil) async throws {
    let environment = Self.loopback.merging(environment) { $1 }
    if let descriptors {
      let script = "ulimit -n \(descriptors) && exec \"$0\" \"$@\""
      child = try ChildProcess("sh", ["-c", script, Self.executable] + arguments, environment: environment)
    } else {
      child = try ChildProcess(Self.executable, arguments, environment: environment)
    }
    (port, adminPort) = try await child.wait(for: "serving line") { child in
      guard let line = child.errors.split(separator: "\n").first(where: { $0.contains("\"message\":\"serving\"") }),
        let port = line.firstMatch(of: /"addresses":"127\.0\.0\.1:(\d+)/)?.1,
        let admin = line.firstMatch(of: /"admin":"127\.0\.0\.1:(\d+)"/)?.1
      else { return nil }
      return UInt16(port).flatMap { port in UInt16(admin).map { (port, $0) } }
    }
  }

  var url: String { "http://127.0.0.1:\(port)" }
  var adminURL: String { "http://127.0.0.1:\(adminPort)" }

  /// What it holds in memory, in KiB.
  var residentKiB: Int {
    let status = (try? String(contentsOfFile: "/proc/\(child.identifier)/status", encoding: .utf8)) ?? ""
    return status.firstMatch(of: /VmRSS:\s+(\d+)/).flatMap { Int($0.1) } ?? 0
  }

  /// Waits until it has logged this message so many times.
  func wait(forLog message: String, times: Int = 1) async throws {
    _ = try await child.wait(for: message) { $0.errors.components(separatedBy: message).count > times ? true : nil }
  }

  /// How many descriptors it has open.
  var openDescriptors: Int {
    (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(child.identifier)/fd").count) ?? 0
  }

  /// Processor time it has used, in clock ticks (proc(5)): a hundredth of a second each.
  var processorTicks: Int {
    let stat = (try? String(contentsOfFile: "/proc/\(child.identifier)/stat", encoding: .utf8)) ?? ""
    let fields = stat[(stat.lastIndex(of: ")") ?? stat.startIndex)...].split(separator: " ")
    return fields.count > 13 ? (Int(fields[12]) ?? 0) + (Int(fields[13]) ?? 0) : 0
  }

  /// Asks for a token with the real curl; `path` is what follows `/token/`.
  func token(_ path: String, _ arguments: String...) async throws -> Answer {
    try await Answer.curl(["\(url)/token/\(path)"] + arguments)
  }
}

/// What curl was answered.
struct Answer {
  let status: Int
  let head: String
  let body: String

  static func curl(_ arguments: [String]) async throws -> Answer {
    let result = try await ChildProcess.run(
      "curl", ["--silent", "--show-error", "--include", "--path-as-is", "--max-time", "40"] + arguments)
    guard result.status == 0, let end = result.output.range(of: "\r\n\r\n") else {
      throw ChildProcess.Failure(description: "curl: \(result.status) \(result.errors)")
    }
    return Answer(
      status: Int(result.output.split(separator: " ")[1]) ?? 0, head: String(result.output[..<end.lowerBound]),
      body: String(result.output[end.upperBound...]))
  }

  /// The body as a JSON object; empty if it is none.
  var json: [String: Any] {
    (try? JSONSerialization.jsonObject(with: Data(body.utf8))) as? [String: Any] ?? [:]
  }

  var token: String? { json["access_token"] as? String }
  var error: String? { json["error"] as? String }

  func field(_ name: String) -> String? {
    let line = head.split(separator: "\r\n").first { $0.lowercased().hasPrefix("\(name): ") }
    return line.map { String($0.dropFirst(name.count + 2)) }
  }
}

/// A development tenant in this process, and what a broker needs to use it.
struct Tenant {
  let tenant: DevTenant
  let secret: String
  let environment: [String: String]
  private let directory: URL

  fileprivate init(_ change: (inout DevTenant.Options) -> Void) throws {
    var options = DevTenant.Options(address: try SocketAddress(parsing: "127.0.0.1:0"))
    options.secrets = ["s3cr3t-\(UUID().uuidString)"]
    change(&options)
    tenant = try DevTenant(options)
    secret = options.secrets[0]
    directory = FileManager.default.temporaryDirectory.appendingPathComponent("token-broker-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    var environment = [
      "AUTH0_DOMAIN": tenant.baseURL, "AUTH0_CLIENT_ID": tenant.clientID, "AUTH0_CLIENT_SECRET": secret,
    ]
    if let pem = tenant.certificatePEM {
      let file = directory.appendingPathComponent("ca.pem")
      try Data(pem.utf8).write(to: file)
      environment["AUTH0_CA_FILE"] = file.path
    }
    self.environment = environment
  }

  /// Writes a file that lives as long as the tenant, and returns its path.
  func file(_ name: String, _ contents: String) throws -> String {
    let file = directory.appendingPathComponent(name)
    try Data(contents.utf8).write(to: file)
    return file.path
  }

  /// Writes a file as Kubernetes mounts it: behind a link to a directory, which is swapped for another at once.
  func mount(_ name: String, _ contents: String) throws -> String {
    let files = FileManager.default
    let version = "..\(UUID().uuidString)"
    try files.createDirectory(
      at: directory.appendingPathComponent("mount/\(version)"), withIntermediateDirectories: true)
    try Data(contents.utf8).write(to: directory.appendingPathComponent("mount/\(version)/\(name)"))
    let path = directory.appendingPathComponent("mount").path
    try files.createSymbolicLink(atPath: path + "/..data_tmp", withDestinationPath: version)
    guard unsafe rename(path + "/..data_tmp", path + "/..data") == 0 else {
      throw ChildProcess.Failure(description: "rename")
    }
    let link = path + "/" + name
    if !files.fileExists(atPath: link) {
      try files.createSymbolicLink(atPath: link, withDestinationPath: "..data/\(name)")
    }
    return link
  }

  /// Waits until the tenant has been asked so much; the suite's time limit bounds it.
  func wait(until condition: (Statistics) -> Bool) async {
    for await statistics in tenant.updates where condition(statistics) { return }
  }

  fileprivate func remove() { try? FileManager.default.removeItem(at: directory) }
}

/// Runs a tenant around `body`.
func withTenant(
  _ change: (inout DevTenant.Options) -> Void = { _ in }, _ body: (Tenant) async throws -> Void
) async throws {
  ThisProcess.ignoreFailingWrites()
  ThisProcess.raiseDescriptorLimit()
  let tenant = try Tenant(change)
  defer { tenant.remove() }
  async let running: Void = tenant.tenant.run()
  do {
    try await body(tenant)
  } catch {
    tenant.tenant.stop()
    throw error
  }
  tenant.tenant.stop()
  try await running
}

/// Runs a tenant and a broker that uses it around `body`.
func withBroker(
  _ environment: [String: String] = [:], _ change: (inout DevTenant.Options) -> Void = { _ in },
  _ body: (Tenant, BrokerProcess) async throws -> Void
) async throws {
  try await withTenant(change) { tenant in
    let broker = try await BrokerProcess(environment: tenant.environment.merging(environment) { $1 })
    try await body(tenant, broker)
    broker.child.signal(SIGTERM)
    try await broker.child.end()
  }
}
