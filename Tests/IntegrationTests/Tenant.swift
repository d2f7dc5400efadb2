import DevTenant
import Foundation
import IO
import TestSupport

/// A development tenant in this process, and what a broker needs to use it.
struct Tenant {
  let tenant: DevTenant
  let secret: String
  let environment: [String: String]
  let directory: URL

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

  /// Writes a file that lives as long as the tenant and that nobody else can read, and returns its path.
  func file(_ name: String, _ contents: String) throws -> String {
    let file = directory.appendingPathComponent(name)
    let isNew = !FileManager.default.fileExists(atPath: file.path)
    try Data(contents.utf8).write(to: file)
    if isNew { try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: file.path) }
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

  /// Starts a broker that uses it, with this in its configuration file if that is given.
  func broker(
    configuration: String? = nil, _ more: [String: String] = [:], descriptors: Int? = nil
  ) async throws -> BrokerProcess {
    var environment = environment.merging(more) { $1 }
    if let configuration { environment["BROKER_CONFIG"] = try file("broker.yaml", configuration) }
    return try await BrokerProcess(environment: environment, descriptors: descriptors)
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
  _ environment: [String: String] = [:], configuration: String? = nil, descriptors: Int? = nil,
  _ change: (inout DevTenant.Options) -> Void = { _ in }, _ body: (Tenant, BrokerProcess) async throws -> Void
) async throws {
  try await withTenant(change) { tenant in
    let broker = try await tenant.broker(configuration: configuration, environment, descriptors: descriptors)
    try await body(tenant, broker)
    try await broker.end()
  }
}
