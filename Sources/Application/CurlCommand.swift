import BrokerAPI

/// A command line with which curl gets a token from a broker on this machine, as it stands in a shell.
struct CurlCommand: CustomStringConvertible {
  /// What curl has to know of a listener with TLS.
  struct TLS {
    /// The certificate, or what vouches for it.
    let file: String
    /// What the certificate proves the broker to be; nil: nothing that curl could check.
    let name: String?
    /// A client without a certificate is not let in.
    let wantsCertificate: Bool
  }

  /// Where the broker listens, as `SocketAddress` writes it.
  let address: String
  let audience: String
  var tls: TLS?
  var requiresProxy = false
  /// A caller's key; nil where nobody is asked for one.
  var key: String?
  var guards = RequestGuards()

  var description: String {
    let words = ["curl"] + transport + headers.flatMap { ["-H", $0] } + [url + RunningBroker.tokenPath(audience)]
    return words.map(Self.quoted).joined(separator: " ")
  }

  /// Such as `127.0.0.1:8080`; nil for a Unix socket.
  private var hostAndPort: String? {
    if address.hasPrefix("unix:") { return nil }
    return String(RunningBroker.url(listening: address).dropFirst("http://".count))
  }

  /// As requests name it.
  private var authority: String {
    guard let hostAndPort else { return "localhost" }
    guard let name = tls?.name, name != Self.host(hostAndPort), let port = hostAndPort.split(separator: ":").last else {
      return hostAndPort
    }
    return "\(name):\(port)"
  }

  private var url: String { "\(tls == nil ? "http" : "https")://\(authority)" }

  private var transport: [String] {
    var options = requiresProxy ? ["--haproxy-protocol"] : []
    guard let hostAndPort else { return options + ["--unix-socket", String(address.dropFirst("unix:".count))] }
    guard let tls else { return options }
    options += tls.name == nil ? ["--insecure"] : ["--cacert", tls.file]
    if authority != hostAndPort { options += ["--connect-to", "::\(hostAndPort)"] }
    return tls.wantsCertificate ? options + ["--cert", "YOUR-CERTIFICATE.pem", "--key", "ITS-KEY.pem"] : options
  }

  private var headers: [String] {
    var headers = key.map { ["Authorization: Bearer \($0)"] } ?? []
    if let host { headers.append("Host: \(host)") }
    if let field = guards.requiredField { headers.append("\(field.name): \(field.value)") }
    return headers
  }

  /// The host to name where the one that is connected to would be refused (`RequestGuards`).
  private var host: String? {
    if let hosts = guards.allowedHosts { return hosts.contains(authority.lowercased()) ? nil : hosts.min() }
    return key == nil && hostAndPort != nil && authority != hostAndPort ? "localhost" : nil
  }

  /// Without the port, and without the brackets of IPv6.
  static func host(_ hostAndPort: String) -> String {
    let host = hostAndPort.prefix(upTo: hostAndPort.lastIndex(of: ":") ?? hostAndPort.endIndex)
    return host.hasPrefix("[") ? String(host.dropFirst().dropLast()) : String(host)
  }

  /// A word as a shell reads it.
  private static func quoted(_ word: String) -> String {
    let plain = Set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~:/%@=,+")
    if word.allSatisfy(plain.contains) { return word }
    // By scalars: a mark that combines with a quote would hide it.
    let quoted = word.unicodeScalars.map { $0 == "'" ? #"'\''"# : String($0) }.joined()
    return "'\(quoted)'"
  }
}
