import DevTenant
import Foundation
import Sockets

/// The development tenant as a process of its own: `bench-tenant COUNT [MILLISECONDS]` knows the audiences
/// `https://<n>.example.com/` for n below COUNT, takes that long over each token, and prints how to use it as one line of
/// JSON.
@main enum BenchTenant {
  static func main() async throws {
    ThisProcess.ignoreFailingWrites()
    ThisProcess.raiseDescriptorLimit()
    let arguments = CommandLine.arguments.dropFirst().compactMap { Int($0) }
    let count = arguments.first ?? 1
    var options = DevTenant.Options(address: try SocketAddress(parsing: "127.0.0.1:0"))
    options.audiences = Dictionary(uniqueKeysWithValues: (0..<count).map { ("https://\($0).example.com/", []) })
    let tenant = try DevTenant(options)
    if arguments.count > 1 { tenant.setLatency(.milliseconds(arguments[1])) }
    let facts = [
      "AUTH0_DOMAIN": tenant.baseURL, "AUTH0_CLIENT_ID": tenant.clientID, "AUTH0_CLIENT_SECRET": tenant.secrets[0],
      "certificate": tenant.certificatePEM ?? "",
    ]
    try FileHandle.standardOutput.write(contentsOf: JSONSerialization.data(withJSONObject: facts) + Data("\n".utf8))
    try await tenant.run()
  }
}
