extension MetricsText {
  mutating func write(_ figures: DependencyFigures) {
    let configuration = figures.configuration
    gauge(
      "token_broker_config_last_reload_successful", "1 if the configuration was right when it was last read, else 0.",
      [([], configuration.problem == nil ? "1" : "0")])
    gauge(
      "token_broker_config_last_reload_timestamp_seconds",
      "When the configuration was last read, right or wrong, in Unix time.",
      [([], "\(Int(configuration.lastReloadAt))")])
    let first = OwnCertificate.Use.allCases.compactMap { use in
      figures.certificates.filter { $0.use == use }.min { $0.expiresAt < $1.expiresAt }
    }
    gauge(
      "token_broker_certificate_expiry_timestamp_seconds",
      "When the broker's own certificate of a use expires, in Unix time; of several that which does first.",
      first.map { ([("use", $0.use.rawValue)], "\(Int($0.expiresAt))") })
    gauge(
      "token_broker_certificate_not_before_timestamp_seconds", "When the life of the same certificate began.",
      first.map { ([("use", $0.use.rawValue)], "\(Int($0.notBefore))") })
    // Several clients may have one issuer.
    let isUp = Dictionary(
      figures.keySets.filter { $0.keys > 0 || $0.problem != nil }.map { ($0.issuer, $0.problem == nil) }
    ) { $0 && $1 }
    gauge(
      "token_broker_key_set_up", "1 if the keys of an issuer could be read when they were last asked for, else 0.",
      isUp.sorted { $0.key < $1.key }.map { ([("issuer", $0.key)], $0.value ? "1" : "0") })
  }
}
