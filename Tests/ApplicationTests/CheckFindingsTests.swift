import Basics
import OAuth
import IO
import Testing

@testable import HTTPClient
@testable import Application

/// What `check` makes of what it has seen.
@Suite struct CheckFindingsTests {
  private static let day = 86400.0
  private static let now = 1_700_000_000.0

  private static func findings(_ change: (inout ConnectionReport) -> Void, proxy: String? = nil) -> [Finding] {
    var report = ConnectionReport()
    (report.address, report.port, report.tlsVersion) = ("192.0.2.1", 443, "TLSv1.3")
    (report.lookupTime, report.connectTime) = (.milliseconds(3), .milliseconds(15))
    change(&report)
    guard let server = URLParts("https://a.example.com/x") else { return [] }
    return ConnectionFindings(
      server: server, proxy: proxy,
      lookup: proxy == nil ? .success(["192.0.2.1", "2001:db8::1"]) : nil, report: report, now: now
    ).all
  }

  private static func verdicts(_ findings: [Finding]) -> [String] {
    findings.map { "\($0.check.rawValue) \($0.verdict.rawValue)" }
  }

  @Test(
    "A certificate is ok with a fortnight left or no date, and a warning with less",
    arguments: [(14 * day, Finding.Verdict.ok, 14), (14 * day - 1, .warning, 13), (3600, .warning, 0), (nil, .ok, nil)]
      as [(Double?, Finding.Verdict, Int?)])
  func certificate(_ left: Double?, _ verdict: Finding.Verdict, _ days: Int?) {
    let findings = Self.findings {
      $0.certificate = ServerCertificate(issuer: "CN = R3", expiresAt: left.map { Self.now + $0 })
    }
    #expect(Self.verdicts(findings) == ["dns ok", "tcp ok", "tls \(verdict.rawValue)"])
    let days = days.map { "\($0) days left" } ?? "by CN = R3"
    #expect(findings[2].message.contains("TLSv1.3, certificate for a.example.com by CN = R3"))
    #expect(findings[2].message.contains(days) && (findings[2].remedy != nil) == (verdict == .warning))
    #expect(findings[0].message == "192.0.2.1, 2001:db8::1" && findings[1].message == "connected to 192.0.2.1 in 12 ms")
  }

  @Test(
    "The step that failed is failed, and those behind it are skipped",
    arguments: [
      (.lookup, nil, ["dns failed", "tcp skipped", "tls skipped"]),
      (.connect, nil, ["dns ok", "tcp failed", "tls skipped"]),
      (.handshake, nil, ["dns ok", "tcp ok", "tls failed"]),
      (.proxy, "p:1", ["dns skipped", "proxy failed", "tcp skipped", "tls skipped"]),
      (.handshake, "p:1", ["dns skipped", "proxy ok", "tcp skipped", "tls failed"]),
    ] as [(ConnectionReport.Stage, String?, [String])])
  func stages(_ stage: ConnectionReport.Stage, _ proxy: String?, _ expected: [String]) {
    let findings = Self.findings(
      { $0.failure = ConnectionReport.Failure(stage: stage, message: "in curl's words", cause: .other) }, proxy: proxy)
    #expect(Self.verdicts(findings) == expected)
    for finding in findings { #expect((finding.remedy != nil) == (finding.verdict == .failed)) }
  }

  @Test(
    "A clock is ok within five seconds, failed a minute behind, and a warning in between or ahead",
    arguments: [
      (0, .ok), (5, .ok), (-5, .ok), (5.5, .warning), (-5.5, .warning), (60, .warning), (60.5, .failed),
      (-86400, .warning),
      (nil, .skipped),
    ] as [(Double?, Finding.Verdict)])
  func clock(_ offset: Double?, _ verdict: Finding.Verdict) {
    #expect(TenantFindings.clock(offset).verdict == verdict)
  }
}
