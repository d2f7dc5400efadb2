import Foundation
import TestSupport
import Testing

/// The real binary, serving on ephemeral loopback ports.
struct BrokerProcess {
  let child: ChildProcess
  /// The ports of the main and of the admin listener.
  let port: UInt16
  let adminPort: UInt16

  /// Beside the test program, where the same build has put it.
  static var executable: String {
    let tests = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
    return tests.deletingLastPathComponent().appendingPathComponent("token-broker").path
  }

  /// What it logs after a reload.
  static let reloaded = "\"the configuration was read again\""

  static let loopback = ["BROKER_LISTEN": "127.0.0.1:0", "BROKER_ADMIN_LISTEN": "127.0.0.1:0"]

  /// Starts it, with at most `descriptors` if that is given or by a script that is given its command line, and waits
  /// until it serves.
  init(
    _ arguments: [String] = [], environment: [String: String], descriptors: Int? = nil, through script: String? = nil
  ) async throws {
    let environment = Self.loopback.merging(environment) { $1 }
    if let script = script ?? descriptors.map({ "ulimit -n \($0) && exec \"$0\" \"$@\"" }) {
      child = try ChildProcess("sh", ["-c", script, Self.executable] + arguments, environment: environment)
    } else {
      child = try ChildProcess(Self.executable, arguments, environment: environment)
    }
    (port, adminPort) = try await child.wait(for: "serving line") { child in
      guard let line = child.errors.split(separator: "\n").first(where: { $0.contains("\"message\":\"serving\"") }),
        let port = line.firstMatch(of: /"addresses":"127\.0\.0\.1:(\d+)/)?.1,
        let admin = line.firstMatch(of: /"admin":"(?:127\.0\.0\.1|0\.0\.0\.0):(\d+)"/)?.1
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

  /// Ends it as its supervisor would, and waits until it has.
  func end() async throws {
    child.signal(SIGTERM)
    try await child.end()
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

  /// Each sample of its metrics by name and labels, as they stand there.
  func metrics(_ arguments: String...) async throws -> [String: Double] {
    let answer = try await Answer.curl([adminURL + "/metrics"] + arguments)
    #expect(answer.status == 200)
    var samples: [String: Double] = [:]
    for line in answer.body.split(separator: "\n") where !line.hasPrefix("#") {
      let space = try #require(line.lastIndex(of: " "))
      let name = String(line[..<space])
      #expect(samples[name] == nil, "\(name) stands there twice")
      samples[name] = Double(String(line[line.index(after: space)...])) ?? .nan
      #expect(samples[name]?.isNaN == false, "\(line)")
    }
    return samples
  }

  /// Waits until it has so many connections to its main listener that speak HTTP/1.1.
  func waitForConnections(_ count: Int) async throws {
    try await eventually("\(count) connections") {
      let listeners = try await Answer.curl([adminURL + "/status.json"]).json["listeners"] as? [[String: Any]]
      return listeners?.first?["http1"] as? Int == count
    }
  }

  /// Asks for a token with the real curl; `path` is what follows `/token/`.
  func token(_ path: String, _ arguments: String...) async throws -> Answer {
    try await Answer.curl(["\(url)/token/\(path)"] + arguments)
  }
}
