import DevTenant
import Dispatch
import Foundation
import IO

/// The development tenant as a process of its own, for benchmarks and soaks, with tokens for
/// `https://<n>.example.com/`, n below COUNT:
///
///     tenant COUNT             on a port of its own
///     tenant COUNT PORT FILE   there, and what the file says that it was in an earlier life; it may be killed
///
/// It prints how to use it as one line of JSON. Then it does what standard input says, a line each, which it answers
/// with `ok`, and ends when that does.
@main enum Tenant {
  static func main() async throws {
    ThisProcess.ignoreFailingWrites()
    ThisProcess.raiseDescriptorLimit()
    let arguments = CommandLine.arguments.dropFirst()
    guard arguments.count == 1 || arguments.count == 3, let count = Int(arguments[1]) else { exit(64) }
    let port = arguments.count == 3 ? arguments[2] : "0"
    let file = arguments.count == 3 ? URL(fileURLWithPath: arguments[3]) : nil
    var options = DevTenant.Options(address: try SocketAddress(parsing: "127.0.0.1:\(port)"))
    options.audiences = Dictionary(uniqueKeysWithValues: (0..<count).map { ("https://\($0).example.com/", []) })
    if let file, let data = try? Data(contentsOf: file) {
      let earlier = try JSONDecoder().decode(State.self, from: data)
      (options.identity, options.secrets, options.lifetime) = (earlier.identity, earlier.secrets, earlier.lifetime)
    }
    let tenant = try DevTenant(options)
    try State(tenant).save(file)
    let facts = [
      "AUTH0_DOMAIN": tenant.baseURL, "AUTH0_CLIENT_ID": tenant.clientID, "AUTH0_CLIENT_SECRET": tenant.secrets[0],
      "certificate": tenant.certificatePEM ?? "",
    ]
    try say(String(decoding: JSONSerialization.data(withJSONObject: facts), as: UTF8.self))
    DispatchQueue(label: "orders").async {
      while let line = readLine() {
        do {
          try obey(line.split(separator: " ").map(String.init), tenant)
          try State(tenant).save(file)
          try say("ok")
        } catch {
          fatalError("\(line): \(error)")
        }
      }
      tenant.stop()
    }
    try await tenant.run()
  }

  private static func obey(_ words: [String], _ tenant: DevTenant) throws {
    switch (words.first, words.dropFirst().first) {
    case ("secrets", _): tenant.accept(secrets: Array(words.dropFirst()))
    case ("lifetime", let seconds?): tenant.setLifetime(seconds: Int(seconds) ?? 0)
    case ("latency", let milliseconds?): tenant.setLatency(.milliseconds(Int(milliseconds) ?? 0))
    case ("failing", let share?): tenant.setFailing(share: Double(share) ?? 0)
    case ("rotate", nil): try tenant.rotateKey(revokingPrevious: false)
    default: exit(64)
    }
  }

  private static func say(_ line: String) throws {
    try FileHandle.standardOutput.write(contentsOf: Data((line + "\n").utf8))
  }

  /// What outlives it.
  private struct State: Codable {
    let identity: DevTenant.Identity
    let secrets: [String]
    let lifetime: Int

    init(_ tenant: DevTenant) {
      (identity, secrets, lifetime) = (tenant.identity, tenant.secrets, tenant.lifetime)
    }

    func save(_ file: URL?) throws {
      if let file { try JSONEncoder().encode(self).write(to: file, options: .atomic) }
    }
  }
}
