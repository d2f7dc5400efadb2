import Basics

extension RedisSettings {
  /// What is wrong with a URL. It quotes nothing of it: anything may be a password in the wrong place.
  package struct Malformed: Error, Equatable, CustomStringConvertible {
    package let description: String

    init(_ description: String) { self.description = description }
  }

  /// Reads `redis://[user[:password]@]host[:port][/database]`, the same with `rediss`, which is TLS,
  /// `redis+unix://[user[:password]@]/path[?db=database]`, or what `init(sentinelURL:)` does. User, password and path
  /// are percent-decoded.
  package init(url: String) throws(Malformed) {
    if url.prefix(while: { $0 != ":" }).hasSuffix("+sentinel") {
      self = try RedisSettings(sentinelURL: url)
      return
    }
    let parts = try Self.parts(of: url)
    switch parts.scheme {
    case "redis", "rediss":
      if parts.host.isEmpty { throw Malformed(Self.explanation(of: .host, in: url)) }
      if parts.query != nil { throw Malformed("expected nothing behind ?; the database is written as /0") }
      self.init(.tcp(host: parts.host, port: parts.port ?? 6379))
      usesTLS = parts.scheme == "rediss"
      if parts.path.count > 1 { database = try Self.database(parts.path.dropFirst()) }
    case "redis+unix":
      guard parts.host.isEmpty, parts.path.count > 1 else { throw Malformed("expected redis+unix:///path") }
      guard let path = String(validating: try Self.decoded(parts.path), as: UTF8.self), !path.utf8.contains(0) else {
        throw Malformed("the path of the socket is no text")
      }
      self.init(.unix(path: path))
      if let query = parts.query {
        guard query.hasPrefix("db=") else { throw Malformed("expected nothing behind ? but db=0 or another number") }
        database = try Self.database(query.dropFirst(3))
      }
    default: throw Malformed(Self.expectation)
    }
    try takeCredentials(of: parts)
  }

  /// Takes a URL apart that may be one of ours.
  static func parts(of url: String) throws(Malformed) -> URLParts {
    let parts: URLParts
    do throws(URLParts.Malformed) {
      parts = try URLParts(parsing: url, mayLackHost: true)
    } catch {
      throw Malformed(explanation(of: error, in: url))
    }
    if parts.fragment != nil { throw Malformed(hashInPassword) }
    if parts.path.contains("@") { throw Malformed(separatorInPassword) }
    return parts
  }

  /// Takes user and password, percent-decoded, where there are any.
  mutating func takeCredentials(of parts: URLParts) throws(Malformed) {
    if let user = parts.user, !user.isEmpty {
      self.user = String(validating: try Self.decoded(user), as: UTF8.self)
      if self.user == nil { throw Malformed("the user is no text") }
    }
    if let password = parts.password, !password.isEmpty { self.password = Secret(try Self.decoded(password)) }
  }

  private static let expectation =
    "expected redis://host:port/0, rediss://host:port/0, redis+unix:///path?db=0 or redis+sentinel://host,host/name"
  private static let hashInPassword = "a # in a password is written as %23"
  private static let separatorInPassword = "an @ or a / in a password is written as %40 or %2F"

  /// What to say of a URL that cannot be taken apart. Most often a password holds what ends a part of the URL.
  private static func explanation(of malformed: URLParts.Malformed, in url: String) -> String {
    if malformed == .scheme { return expectation }
    if url.contains("#") { return hashInPassword }
    let place = url.split(separator: "://", maxSplits: 1).last ?? ""
    if place.count(where: { $0 == "@" }) > 1 || place.drop(while: { $0 != "/" }).contains("@") {
      return separatorInPassword
    }
    return switch malformed {
    case .scheme: expectation
    case .credentials: "expected a user and a password of visible ASCII; anything else is percent-encoded"
    case .brackets: "expected [address]:port"
    case .ipv6Address: "expected an IPv6 address within []"
    case .host: "expected a host of letters, digits, hyphens and dots"
    case .port: "expected a port from 1 to 65535"
    case .path, .query, .fragment: "expected visible ASCII only; anything else in a path is percent-encoded"
    }
  }

  /// Digits only, and not too many of them.
  static func database(_ text: Substring) throws(Malformed) -> Int {
    guard (1...9).contains(text.utf8.count), text.utf8.allSatisfy({ 0x30...0x39 ~= $0 }), let number = Int(text) else {
      throw Malformed("expected the number of a database")
    }
    return number
  }

  /// Percent-decoded, once (RFC 3986 §2.1).
  private static func decoded(_ text: String) throws(Malformed) -> [UInt8] {
    var (result, rest) = ([UInt8](), Array(text.utf8)[...])
    while let byte = rest.popFirst() {
      if byte != UInt8(ascii: "%") {
        result.append(byte)
        continue
      }
      guard let high = rest.popFirst().flatMap(Hex.value), let low = rest.popFirst().flatMap(Hex.value) else {
        throw Malformed("a % is written as %25, or followed by two hexadecimal digits")
      }
      result.append(high << 4 | low)
    }
    return result
  }
}
