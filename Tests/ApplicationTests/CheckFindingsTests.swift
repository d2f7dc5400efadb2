import Basics
import IO
import Status
import Testing

@testable import Application
@testable import HTTPClient
@testable import OAuth
@testable import Telemetry

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

  @Test("An address that libcurl does not tell is the one that the name has, or else none is named")
  func unknownAddress() {
    func message(_ addresses: [String]) -> String {
      var report = ConnectionReport()
      report.failure = ConnectionReport.Failure(stage: .handshake, message: "", cause: .expired)
      guard let server = URLParts("https://a.example.com/") else { return "" }
      let findings = ConnectionFindings(
        server: server, proxy: nil, lookup: .success(addresses), report: report, now: Self.now)
      return findings.all[1].message
    }
    #expect(message(["192.0.2.1"]) == "connected to 192.0.2.1")
    #expect(message(["192.0.2.1", "192.0.2.2"]) == "connected")
  }

  @Test(
    "Metadata that cannot be had for now is no reason to change the issuer, and metadata of another issuer is",
    arguments: [
      (.upstreamUnavailable, true, false), (.upstreamTimeout, true, false), (.brokerMisconfigured, true, true),
      (.invalidUpstreamResponse, true, true), (.upstreamUnavailable, false, false),
    ] as [(TokenError.Cause, Bool, Bool)])
  func discovery(_ cause: TokenError.Cause, _ isNeeded: Bool, _ isOfIssuer: Bool) throws {
    let error = TokenError(cause: cause, message: "the tenant's metadata cannot be read: status 503")
    let finding = TenantFindings.discovery(
      "https://a/", .init(contents: .failure(error), clockOffset: nil), isNeeded: isNeeded)
    #expect(finding.verdict == (isNeeded ? .failed : .warning))
    #expect(finding.remedy?.contains("byte for byte") == isOfIssuer)
    if cause.isTransient { #expect(finding.remedy == cause.remedy) }
  }

  @Test("A way to authenticate that the server does not offer is a warning that names those it does")
  func authMethod() {
    let finding = TenantFindings.authMethod("https://a/", "client_secret_post", ["client_secret_basic", "x\ny"])
    #expect(finding.verdict == .warning && finding.message.hasSuffix("offers: client_secret_basic, x?y"))
    #expect(finding.message.contains("authenticates by client_secret_post"))
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

  @Test(
    "A certificate of the broker's own is ok, a warning or failed by what is left of it, with its names",
    arguments: [(15.0, Finding.Verdict.ok, 15), (2, .warning, 2), (-3, .failed, -3), (400, .failed, 400)])
  func ownCertificate(_ left: Double, _ verdict: Finding.Verdict, _ days: Int) {
    let certificate = OwnCertificate(
      .listener, file: "/tls.crt", names: ["a.example.com"], notBefore: Self.now - 300 * Self.day,
      expiresAt: Self.now + 65 * Self.day)
    let finding = DependencyFindings.certificate(certificate, now: certificate.expiresAt - left * Self.day)
    #expect(finding.check == .certificate && finding.verdict == verdict && finding.target == "listener")
    #expect(finding.message.contains("a.example.com") && finding.message.contains("/tls.crt"))
    #expect((finding.remedy != nil) == (verdict != .ok))
    #expect(finding.facts.contains { $0.name == "certificate_days_left" && $0.value == Array("\(days)".utf8) })
  }

  @Test("The keys of callers' issuer are a warning where they cannot be read, or none can be used")
  func callersKeys() {
    func finding(_ keys: Int, _ problem: String?) -> Finding {
      let keys = (0..<keys).map { KeySetStatus.Key(id: "\($0)", algorithm: "RS256") }
      let status = KeySetStatus(keys: keys, fetchedAt: nil, problem: problem, nextFetch: nil)
      return DependencyFindings.keys("https://k", status)
    }
    #expect(finding(2, nil).verdict == .ok && finding(2, nil).message.hasPrefix("2 keys"))
    #expect(finding(0, nil).verdict == .warning && finding(0, nil).remedy?.contains("kubectl") == true)
    let unreadable = finding(0, "no route")
    #expect(unreadable.verdict == .warning && unreadable.message.contains("no route") && unreadable.remedy != nil)
  }
}
