/// Which proxy libcurl goes through (CURLOPT_PROXY(3), CURLOPT_NOPROXY(3)): to tell people, for it decides itself. Networks
/// in NO_PROXY are not understood here.
package enum ProxyChoice {
  /// The proxy's host and port, without the password that its URL may hold; nil: there is none on the way. `configured` is
  /// as in `HTTPClient.init`.
  package static func proxy(for url: String, configured: String?, environment: [String: String]) -> String? {
    func variable(_ names: String...) -> String? {
      names.lazy.compactMap { environment[$0] }.first { !$0.isEmpty }
    }
    // Plain http goes to this machine only.
    guard url.hasPrefix("https://"), !Transfer.isLoopback(url),
      let proxy = configured ?? variable("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"), !proxy.isEmpty,
      !isExempt(HostAndPort(of: url).host, variable("no_proxy", "NO_PROXY") ?? "")
    else { return nil }
    return "\(HostAndPort(of: proxy))"
  }

  /// A name in the list is for itself and all below it.
  private static func isExempt(_ host: String, _ list: String) -> Bool {
    if list == "*" { return true }
    let host = trimmed(host[...])
    return list.split { $0 == "," || $0.isWhitespace }.map(trimmed).contains { name in
      !name.isEmpty && (host == name || host.hasSuffix(".\(name)"))
    }
  }

  private static func trimmed(_ name: Substring) -> String {
    var name = name.lowercased()[...]
    if name.first == "." { name.removeFirst() }
    if name.last == "." { name.removeLast() }
    return String(name)
  }
}

/// Of a URL.
package struct HostAndPort: Sendable, Hashable, CustomStringConvertible {
  /// Without the brackets of an IPv6 address.
  package let host: String
  /// As the URL has it, or its scheme's.
  package let port: String

  package init(of url: String) {
    let scheme = url.firstRange(of: "://")
    let authority = url[(scheme?.upperBound ?? url.startIndex)...].prefix { $0 != "/" && $0 != "?" }
    let place = authority.lastIndex(of: "@").map { authority[authority.index(after: $0)...] } ?? authority
    let isLiteral = place.first == "["
    let end = isLiteral ? place.firstIndex(of: "]") ?? place.endIndex : place.firstIndex(of: ":") ?? place.endIndex
    host = String(isLiteral ? place[..<end].dropFirst() : place[..<end])
    let port = place[end...].drop { $0 != ":" }.dropFirst()
    switch scheme.map({ url[..<$0.lowerBound] }) {
    case _ where !port.isEmpty: self.port = String(port)
    case "https": self.port = "443"
    case "http": self.port = "80"
    default: self.port = "1080"
    }
  }

  package var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
