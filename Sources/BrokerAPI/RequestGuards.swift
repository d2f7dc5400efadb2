import HTTPServer

/// What a request must look like, whoever sends it: against requests that a browser or another server was tricked into
/// sending.
package struct RequestGuards: Sendable {
  /// The only hosts that requests may name, lower case, with their port where they have one; nil: none are listed.
  package var allowedHosts: Set<String>?
  /// A field that must be there.
  package var requiredField: (name: String, value: String)?
  /// Nobody has to prove who they are.
  var servesAnybody = false

  package init(allowedHosts: Set<String>? = nil, requiredField: (name: String, value: String)? = nil) {
    self.allowedHosts = allowedHosts
    self.requiredField = requiredField
  }

  /// Why the request must not be served; nil where nothing speaks against it.
  ///
  /// `isForwarded`: a proxy asks on behalf of a request that may well come from a browser or another proxy. Where it
  /// need not prove who it is, it may as well be the browser itself. `isOfPage`: the broker's own status page may ask.
  func objection(to request: Request, isForwarded: Bool = false, isOfPage: Bool = false) -> String? {
    let isExpected = isForwarded && !servesAnybody || isOfPage && isOwnPage(request)
    if !isExpected, let objection = objection(toPageOf: request) { return objection }
    if let objection = objection(toHostOf: request) { return objection }
    return requiredField == nil || request.role != .main ? nil : objection(toFieldsOf: request, isForwarded)
  }

  private func objection(toFieldsOf request: Request, _ isForwarded: Bool) -> String? {
    guard let requiredField else { return nil }
    guard request.text(of: requiredField.name)?.utf8.elementsEqual(requiredField.value.utf8) == true else {
      return "the field \(requiredField.name) is required, with the value that the broker's configuration names"
    }
    if !isForwarded, request.hasField(where: Self.isOfProxies) {
      return "forwarded requests (X-Forwarded-For, Forwarded, Via and the like) are not served"
    }
    return nil
  }

  // MARK: Web pages

  private func objection(toPageOf request: Request) -> String? {
    if request.value(of: "origin") != nil { return "requests of web pages (Origin) are not served" }
    if let site = request.value(of: "sec-fetch-site"), !request.matches("none", at: site),
      !request.matches("same-origin", at: site), !isFollowedLink(request)
    {
      return "requests of web pages (Sec-Fetch-Site) are not served"
    }
    return nil
  }

  /// Whether the broker's own page asks: its origin is the host that it asks, which no name server has led here, and it
  /// sends a field that a page of another origin may not send (Fetch § 3.2, a preflight that nobody answers).
  private func isOwnPage(_ request: Request) -> Bool {
    guard let origin = request.text(of: "origin"), let range = request.host,
      request.value(of: "x-token-broker-page") != nil, allowedHosts != nil || request.namesNobodyElse
    else { return false }
    if let site = request.value(of: "sec-fetch-site"), !request.matches("same-origin", at: site) { return false }
    let host = request.text(at: range).lowercased()
    return origin == "http://\(host)" || origin == "https://\(host)"
  }

  /// A person has followed a link to the status page. It fills a window of its own, which the page with the link cannot
  /// look into.
  private func isFollowedLink(_ request: Request) -> Bool {
    guard request.role == .admin, request.method == .get, let mode = request.value(of: "sec-fetch-mode"),
      let use = request.value(of: "sec-fetch-dest")
    else { return false }
    return request.matches("navigate", at: mode) && request.matches("document", at: use)
  }

  // MARK: Hosts

  /// The host that the request names, where no other is served, so that it can be relied on; else nil.
  func believedHost(of request: Request) -> String? {
    guard allowedHosts != nil || isLocalOnly(request), objection(toHostOf: request) == nil else { return nil }
    return request.host.map { request.text(at: $0) }
  }

  /// Names beyond this machine are not answered to: a page whose name was made to lead here (DNS rebinding) would be
  /// given what it asks for. The admin listener asks nobody who they are.
  private func isLocalOnly(_ request: Request) -> Bool {
    allowedHosts == nil && request.isOnLoopback && (servesAnybody || request.role == .admin)
  }

  private func objection(toHostOf request: Request) -> String? {
    if allowedHosts != nil {
      return isAllowedHost(of: request) ? nil : "the Host is none of those this broker answers to"
    }
    if !isLocalOnly(request) || request.namesNobodyElse { return nil }
    return "where nobody proves who they are, a loopback address is answered by the names localhost and "
      + "*.localhost and by IP addresses only; allowedHosts lists others"
  }

  private func isAllowedHost(of request: Request) -> Bool {
    guard let allowedHosts else { return true }
    let host = request.host.map { request.text(at: $0).lowercased() }
    // The admin listener has a port of its own, and is asked by its address as often as not.
    return request.role == .main
      ? host.map(allowedHosts.contains) ?? false
      : request.namesNobodyElse || allowedHosts.contains { Self.name($0) == host.map(Self.name) }
  }

  /// Without the port.
  private static func name(_ host: String) -> Substring {
    guard let colon = host.lastIndex(of: ":"), !host[colon...].contains("]") else { return host[...] }
    return host[..<colon]
  }

  // MARK: Proxies

  /// Whether proxies add such a field, to say for whom they ask or where they were.
  private static func isOfProxies(_ name: String) -> Bool {
    name.contains("forwarded") || ofProxies.contains(name)
  }

  private static let ofProxies: Set = [
    "via", "x-real-ip", "x-client-ip", "x-cluster-client-ip", "true-client-ip", "cf-connecting-ip", "fastly-client-ip",
    "x-envoy-external-address", "x-original-url", "x-rewrite-url",
  ]
}

extension Request {
  /// Whether the host that it names is one that no name server can lead elsewhere: `localhost` or a name under it
  /// (RFC 6761 §6.3), an IP address, or none at all, as no browser would.
  fileprivate var namesNobodyElse: Bool {
    guard let host else { return true }
    return withBytes { bytes in
      if bytes[host.lowerBound] == UInt8(ascii: "[") { return true }
      var end = host.first { bytes[$0] == UInt8(ascii: ":") } ?? host.upperBound
      if end > host.lowerBound, bytes[end - 1] == UInt8(ascii: ".") { end -= 1 }
      var label = end
      while label > host.lowerBound, bytes[label - 1] != UInt8(ascii: ".") { label -= 1 }
      // No top-level domain is a number: what ends in one is an address, however it is written.
      let isNumber = label < end && (label..<end).allSatisfy { 0x30...0x39 ~= bytes[$0] }
      return isNumber || bytes.matches("localhost", at: label..<end)
    }
  }
}
