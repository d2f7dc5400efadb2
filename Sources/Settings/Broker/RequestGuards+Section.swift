import BrokerAPI

extension RequestGuards {
  init(_ root: Section) {
    self.init(
      allowedHosts: root.values("allowedHosts", .host, .liveOnlyNarrowed).map { Set($0) },
      requiredField: root.value("requireHeader", .field, .liveOnlyNarrowed))
    if allowedHosts != nil { root.restrict("allowedHosts") }
    if requiredField != nil { root.restrict("requireHeader") }
  }
}

extension Format where Value == String {
  fileprivate static var host: Format {
    Format("a host, or host:port") { text in
      text.wholeMatch(of: /([A-Za-z0-9._\-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?/).map { _ in text.lowercased() }
    }
  }
}

extension Format where Value == (name: String, value: String) {
  fileprivate static var field: Format {
    Format("a header field, such as 'X-Token-Broker: true'", isSecret: true) { text in
      text.wholeMatch(of: /([A-Za-z0-9\-]+): *([!-~]+)/).map { ($0.1.lowercased(), String($0.2)) }
    }
  }
}
