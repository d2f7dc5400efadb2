import DevTenant
import Foundation
import Glibc
import TestSupport
import Testing

extension LoadTests {
  /// What is left of a secret in the memory of the running broker, read as only root may: what keeps core dumps off
  /// keeps every other process of its user out, too.
  @Suite(
    .enabled(if: geteuid() == 0, "only root may read the broker's memory"),
    .disabled(if: Sanitizer.isOn, "sanitizers keep what was freed")) struct SecretsInMemoryTests
  {
    @Test(
      "A secret that was rotated away is gone from memory once the next one has been accepted",
      arguments: ["client_secret_post", "client_secret_basic"])
    func rotation(_ method: String) async throws {
      try await withTenant { tenant in
        let path = try tenant.file("secret", tenant.secret)
        let file = try tenant.file(
          "broker.yaml",
          """
          clients:
            default:
              provider: oauth2
              issuer: \(tenant.tenant.baseURL)/
              clientId: \(tenant.tenant.clientID)
              clientSecretFile: \(path)
              authMethod: \(method)
              caFile: \(tenant.environment["AUTH0_CA_FILE"] ?? "")
          """)
        let broker = try await BrokerProcess(environment: ["BROKER_CONFIG": file])
        #expect(try await broker.token("https%3A%2F%2Fapi.example.com").status == 200)
        // There is one copy of a secret in use. With HTTP/2 there are two more, in the buffers of the connection, until
        // the next request is sent. The caller may have its answer a moment before the request is let go of.
        try await eventually("three copies at most") {
          (1...3).contains(try Memory.places(of: tenant.secret, in: broker.child.identifier).count)
        }

        let next = "s3cr3t-\(UUID().uuidString)"
        tenant.tenant.accept(secrets: [next])
        _ = try tenant.file("secret", next)
        try await broker.child.wait(forLog: "the client secret has changed")
        #expect(try await broker.token("https%3A%2F%2Fapi.example.com%2F").status == 200)
        #expect(tenant.tenant.statistics.mints == 2)
        let plain = try Memory.places(of: tenant.secret, in: broker.child.identifier)
        #expect(plain.isEmpty, "\(plain)")
        // With HTTP/2, libnghttp2 may have an Authorization field in a connection's table of header compression, which
        // it leaves when others push it out (RFC 7541 §2.3.2).
        let basic = Data("\(tenant.tenant.clientID):\(tenant.secret)".utf8).base64EncodedString()
        let encoded = try Memory.places(of: basic, in: broker.child.identifier)
        #expect(encoded.count <= 1, "\(encoded)")
      }
    }

    @Test("The broker's memory is closed to all but root, and to core dumps")
    func isClosed() async throws {
      try await withTenant { tenant in
        let broker = try ChildProcess(
          "setpriv", ["--reuid=65534", "--regid=65534", "--clear-groups", BrokerProcess.executable],
          environment: tenant.environment.merging(BrokerProcess.loopback) { $1 })
        try await broker.wait(for: "serving line") { $0.errors.contains("\"serving\"") }
        // The kernel gives these files of a process to root where it may not be dumped (proc(5)).
        let owners = try ["mem", "environ"].map { name in
          try FileManager.default.attributesOfItem(atPath: "/proc/\(broker.identifier)/\(name)")[.ownerAccountID]
            as? Int
        }
        #expect(owners == [0, 0])
        let status = try String(contentsOfFile: "/proc/\(broker.identifier)/status", encoding: .utf8)
        #expect(status.contains("\nUid:\t65534\t"))
        broker.signal(SIGTERM)
        try await broker.end()
      }
    }
  }
}

/// Another process's memory, as /proc shows it (proc(5)).
enum Memory {
  /// Where in what it may write to these bytes are: addresses, and what is mapped there.
  static func places(of text: String, in process: Int32) throws -> [String] {
    let needle = Data(text.utf8)
    // Foundation reads no more than a page of such a file at once.
    let maps = String(
      decoding: try FileHandle(forReadingFrom: URL(fileURLWithPath: "/proc/\(process)/maps")).readToEnd() ?? Data(),
      as: UTF8.self)
    let memory = try FileHandle(forReadingFrom: URL(fileURLWithPath: "/proc/\(process)/mem"))
    defer { try? memory.close() }
    var places: [String] = []
    for line in maps.split(separator: "\n") {
      guard let match = line.wholeMatch(of: /([0-9a-f]+)-([0-9a-f]+) rw\S+ \S+ \S+ \S+ *(.*)/),
        let start = UInt64(match.1, radix: 16), let end = UInt64(match.2, radix: 16)
      else { continue }
      try memory.seek(toOffset: start)
      // Some mappings cannot be read, such as the kernel's own.
      guard let bytes = try? memory.read(upToCount: Int(end - start)) else { continue }
      var from = bytes.startIndex
      while let found = bytes.range(of: needle, in: from..<bytes.endIndex) {
        places.append("\(String(start + UInt64(found.lowerBound - bytes.startIndex), radix: 16)) \(match.3)")
        from = found.upperBound
      }
    }
    return places
  }
}
