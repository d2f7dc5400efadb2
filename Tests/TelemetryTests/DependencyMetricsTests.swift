import Testing

@testable import Telemetry

@Suite struct DependencyMetricsTests {
  private func lines(_ figures: DependencyFigures) -> [String] {
    var text = MetricsText(.prometheus)
    text.write(figures)
    return String(decoding: text.bytes, as: UTF8.self).split(separator: "\n").map(String.init)
      .filter { !$0.hasPrefix("#") }
  }

  @Test("Of each use the certificate that expires first is told of, with the beginning of its life")
  func certificates() {
    func certificate(_ use: OwnCertificate.Use, _ begin: Double, _ end: Double) -> OwnCertificate {
      OwnCertificate(use, file: "f", names: [], notBefore: begin, expiresAt: end)
    }
    let figures = DependencyFigures(
      configuration: .init(loadedAt: 1, lastReloadAt: 2),
      certificates: [
        certificate(.listener, 5, 900), certificate(.tlsClient, 1, 700), certificate(.tlsClient, 2, 600),
      ], keySets: [])
    #expect(
      lines(figures) == [
        "token_broker_config_last_reload_successful 1", "token_broker_config_last_reload_timestamp_seconds 2",
        "token_broker_certificate_expiry_timestamp_seconds{use=\"listener\"} 900",
        "token_broker_certificate_expiry_timestamp_seconds{use=\"tls_client_auth\"} 600",
        "token_broker_certificate_not_before_timestamp_seconds{use=\"listener\"} 5",
        "token_broker_certificate_not_before_timestamp_seconds{use=\"tls_client_auth\"} 2",
      ])
  }

  @Test("An issuer's keys are up while all who use them can read them, and not told of before they are asked for")
  func keySets() {
    func keys(_ issuer: String, _ count: Int, _ problem: String?) -> DependencyFigures.KeySet {
      .init(issuer: issuer, client: nil, keys: count, readAt: nil, problem: problem)
    }
    let figures = DependencyFigures(
      configuration: .init(loadedAt: 1, lastReloadAt: 2, problem: "x"), certificates: [],
      keySets: [keys("a", 1, nil), keys("b", 1, nil), keys("b", 0, "no"), keys("c", 0, nil)])
    #expect(
      lines(figures).filter { $0.contains("key_set") || $0.contains("successful") } == [
        "token_broker_config_last_reload_successful 0", "token_broker_key_set_up{issuer=\"a\"} 1",
        "token_broker_key_set_up{issuer=\"b\"} 0",
      ])
  }
}
