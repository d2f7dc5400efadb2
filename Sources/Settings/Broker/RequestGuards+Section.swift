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
    Format { text throws(Unexpected) in
      guard text.wholeMatch(of: /([A-Za-z0-9._\-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?/) != nil else {
        throw Unexpected("a host, or host:port", found: text)
      }
      return text.lowercased()
    }
  }
}

extension Format where Value == (name: String, value: String) {
  fileprivate static var field: Format {
    Format(isSecret: true) { text throws(Unexpected) in
      guard let match = text.wholeMatch(of: /([A-Za-z0-9\-]+): *([!-~]+)/) else {
        throw Unexpected("expected a header field, such as 'X-Token-Broker: true'")
      }
      return (match.1.lowercased(), String(match.2))
    }
  }
}
