import Basics

extension RedisSettings {
  private static let mostSentinels = 16
  private static let sentinelPort: UInt16 = 26379

  /// Reads `redis+sentinel://[user[:password]@]host[:port],host[:port]/name[/database]`: where Sentinels are, and the
  /// name by which they know a primary. With `rediss` both are reached by TLS. User and password are the primary's.
  init(sentinelURL url: String) throws(Malformed) {
    let (first, others) = Self.split(url)
    let parts = try Self.parts(of: first)
    guard ["redis+sentinel", "rediss+sentinel"].contains(parts.scheme) else {
      throw Malformed(Self.sentinelExpectation)
    }
    if parts.query != nil { throw Malformed("expected nothing behind ?; the database is written as /name/0") }
    let path = parts.path.split(separator: "/", maxSplits: 2, omittingEmptySubsequences: false).dropFirst()
    guard let name = path.first.map(String.init), Self.isName(name) else {
      throw Malformed("expected /name behind the Sentinels: the primary's, of letters, digits, '.', '-' and '_'")
    }
    var sentinels = [try Self.sentinel(parts)]
    for other in others { sentinels.append(try Self.sentinel(Self.parts(of: "redis://\(other)"))) }
    if sentinels.count > Self.mostSentinels { throw Malformed("expected at most \(Self.mostSentinels) Sentinels") }
    self.init(.primary(named: name, by: sentinels))
    usesTLS = parts.scheme == "rediss+sentinel"
    if path.count == 2, let database = path.last, !database.isEmpty { self.database = try Self.database(database) }
    try takeCredentials(of: parts)
  }

  private static let sentinelExpectation =
    "expected redis+sentinel://host:port,host:port/name or rediss+sentinel://host:port,host:port/name"

  /// The URL with the first host only, and the other hosts.
  private static func split(_ url: String) -> (first: String, others: [Substring]) {
    guard let start = url.firstRange(of: "://")?.upperBound else { return (url, []) }
    let end = url[start...].firstIndex { "/?#".contains($0) } ?? url.endIndex
    // A comma before the @ is part of a password.
    let hosts = url[start..<end].lastIndex(of: "@").map { url.index(after: $0) } ?? start
    let list = url[hosts..<end].split(separator: ",", omittingEmptySubsequences: false)
    guard let first = list.first else { return (url, []) }
    return ("\(url[..<hosts])\(first)\(url[end...])", Array(list.dropFirst()))
  }

  private static func sentinel(_ parts: URLParts) throws(Malformed) -> Server {
    // Nothing but a host and a port: the rest is the first one's.
    guard !parts.host.isEmpty else { throw Malformed("expected a host of letters, digits, hyphens and dots") }
    return .tcp(host: parts.host, port: parts.port ?? sentinelPort)
  }

  private static func isName(_ text: String) -> Bool {
    (1...256).contains(text.utf8.count)
      && text.utf8.allSatisfy { 0x30...0x39 ~= $0 || 0x61...0x7A ~= $0 | 0x20 || ".-_".utf8.contains($0) }
  }
}
