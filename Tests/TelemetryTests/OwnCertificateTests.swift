import Basics
import Foundation
import TestSupport
import Testing

@testable import Telemetry

@Suite struct OwnCertificateTests {
  private static let day = 86_400.0

  @Test(
    "A certificate should be replaced with less than a fortnight left, or a fifth of a short life",
    arguments: [
      (365.0, 15.0, OwnCertificate.Condition.good), (365, 13, .expiresSoon), (365, 0, .expired), (365, -3, .expired),
      (6, 2, .good), (6, 1, .expiresSoon), (1.0 / 24, 1.0 / 48, .good), (365, 366, .notYetValid),
    ])
  func conditions(_ life: Double, _ left: Double, _ condition: OwnCertificate.Condition) {
    let end = 1_800_000_000.0
    let certificate = OwnCertificate(
      .listener, file: "f", names: [], notBefore: end - life * Self.day, expiresAt: end)
    #expect(certificate.condition(now: end - left * Self.day) == condition)
  }

  @Test("Days left are whole ones, and negative after the end")
  func days() {
    let certificate = OwnCertificate(.store, file: "f", names: [], notBefore: 0, expiresAt: 10 * Self.day)
    #expect(certificate.daysLeft(now: 0.5 * Self.day) == 9 && certificate.daysLeft(now: 10.5 * Self.day) == -1)
    #expect(certificate.end == "1970-01-11T00:00:00Z")
  }

  /// Runs `body` with a directory in which `script` has made certificates.
  private func withFiles(_ script: String, _ body: (String) throws -> Void) async throws {
    let directory = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString).path + "/"
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: directory) }
    try await OpenSSL.run(script, in: directory)
    try body(directory)
  }

  @Test("A chain is its first certificate, with its names, and an issuer only where that ends before")
  func chain() async throws {
    let script = """
      authority ca; sign leaf ca DNS:a.example.com,URI:spiffe://example.com/a,IP:127.0.0.1,IP:::1 1
      sign long ca DNS:long.example.com 9; cat leaf.crt leaf.key ca.crt > chain.pem; cat long.crt ca.crt > ends.pem
      """
    try await withFiles(script) { directory in
      let chain = OwnCertificate.chain(.tlsClient, client: "c", in: directory + "chain.pem")
      #expect(chain.map(\.names) == [["a.example.com", "spiffe://example.com/a", "127.0.0.1", "::1"]])
      let leaf = try #require(chain.first)
      #expect(leaf.use == .tlsClient && leaf.client == "c" && leaf.file.hasSuffix("chain.pem"))
      #expect(abs(leaf.expiresAt - leaf.notBefore - Self.day) < 2)
      #expect(abs(leaf.notBefore - WallClock.now) < 60)
      let ends = OwnCertificate.chain(.listener, in: directory + "ends.pem")
      #expect(ends.map(\.names) == [["long.example.com"], ["CN=ca"]])
    }
  }

  @Test("Of authorities the one that ends first counts, but not one that the file has a newer one of")
  func authorities() async throws {
    let script = """
      authority ca; authority other; sign old ca DNS:x 1; request newer -x509 -out newer.crt -subj /CN=ca -days 9
      cat ca.crt newer.crt > renewed.pem; cat newer.crt other.crt > both.pem
      """
    try await withFiles(script) { directory in
      let renewed = OwnCertificate.authorities(.clientCA, in: directory + "renewed.pem")
      #expect(renewed.map { $0.expiresAt - $0.notBefore > 8 * Self.day } == [true])
      let both = OwnCertificate.authorities(.clientCA, in: directory + "both.pem")
      #expect(both.map(\.names) == [["CN=other"]])
    }
  }

  @Test("A file without a certificate has none")
  func none() async throws {
    try await withFiles("authority ca") { directory in
      #expect(OwnCertificate.chain(.listener, in: directory + "ca.key").isEmpty)
      #expect(OwnCertificate.authorities(.clientCA, in: directory + "missing").isEmpty)
    }
  }
}
