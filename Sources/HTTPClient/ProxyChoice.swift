package import Basics

/// Which proxy libcurl goes through (CURLOPT_PROXY(3), CURLOPT_NOPROXY(3)): to tell people, for it decides itself.
/// Networks in NO_PROXY are not understood here.
package enum ProxyChoice {
  /// The proxy's host and port, without the password that its URL may hold; nil: there is none on the way.
  /// `configured` is as in `HTTPClient.init`.
  package static func proxy(for url: URLParts, configured: String?, environment: [String: String]) -> String? {
    func variable(_ names: String...) -> String? { names.lazy.compactMap { environment[$0] }.first { !$0.isEmpty } }
    // Plain http goes to this machine only.
    guard url.scheme == "https", !url.isLoopback,
      let proxy = configured ?? variable("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"), !proxy.isEmpty,
      !isExempt(url.host, variable("no_proxy", "NO_PROXY") ?? "")
    else { return nil }
    return place(of: proxy)
  }

  /// A proxy may be written without `http://`. Where it names no port libcurl takes 443 for a proxy that is reached by
  /// TLS, and 1080 for any other.
  private static func place(of proxy: String) -> String {
    guard let parts = URLParts(proxy.contains("://") ? proxy : "http://\(proxy)") else { return "the proxy" }
    if parts.port != nil || parts.scheme == "https" { return parts.hostAndPort }
    return "\(parts.isIPv6Literal ? "[\(parts.host)]" : parts.host):1080"
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
