import Basics

extension RedisSettings {
  /// What is wrong with a URL. It quotes nothing of it: anything may be a password in the wrong place.
  package struct Malformed: Error, Equatable, CustomStringConvertible {
    package let description: String

    init(_ description: String) {
      self.description = description
    }
  }

  /// Reads `redis://[user[:password]@]host[:port][/database]`, the same with `rediss`, which is TLS, or
  /// `redis+unix://[user[:password]@]/path[?db=database]`. User, password and path are percent-decoded.
  package init(url: String) throws(Malformed) {
    let parts = Self.split(url, at: "://")
    guard let rest = parts.behind else { throw Malformed(Self.expectation) }
    if rest.contains("#") { throw Malformed("a # in a password is written as %23") }
    let (place, query) = Self.split(rest, at: "?")
    let start = place.firstIndex(of: "/") ?? place.endIndex
    let (authority, path) = (place[..<start], place[start...])
    if path.contains("@") { throw Malformed("an @ or a / in a password is written as %40 or %2F") }
    let at = authority.lastIndex(of: "@")
    let host = at.map { authority[authority.index(after: $0)...] } ?? authority
    switch parts.before {
    case "redis", "rediss":
      if query != nil { throw Malformed("expected nothing behind ?; the database is written as /0") }
      self.init(try Self.tcp(host))
      usesTLS = parts.before == "rediss"
      if path.count > 1 { database = try Self.database(path.dropFirst()) }
    case "redis+unix":
      guard host.isEmpty, path.count > 1 else { throw Malformed("expected redis+unix:///path") }
      guard let path = String(validating: try Self.decoded(path), as: UTF8.self), !path.utf8.contains(0) else {
        throw Malformed("the path of the socket is no text")
      }
      self.init(.unix(path: path))
      if let query {
        guard query.hasPrefix("db=") else { throw Malformed("expected nothing behind ? but db=0 or another number") }
        database = try Self.database(query.dropFirst(3))
      }
    default: throw Malformed(Self.expectation)
    }
    if let at { try read(credentials: authority[..<at]) }
  }

  private static let expectation =
    "expected redis://host:port/database, rediss://host:port/database, or redis+unix:///path?db=database"

  private mutating func read(credentials: Substring) throws(Malformed) {
    let (name, word) = Self.split(credentials, at: ":")
    if !name.isEmpty {
      guard let name = String(validating: try Self.decoded(name), as: UTF8.self) else {
        throw Malformed("the user is no text")
      }
      user = name
    }
    if let word, !word.isEmpty { password = Secret(try Self.decoded(word)) }
  }

  private static func tcp(_ text: Substring) throws(Malformed) -> Server {
    var (host, port) = (text, nil as Substring?)
    if text.first == "[" {
      let parts = split(text.dropFirst(), at: "]")
      guard let behind = parts.behind, behind.isEmpty || behind.first == ":" else {
        throw Malformed("expected [address]:port")
      }
      (host, port) = (parts.before, behind.isEmpty ? nil : behind.dropFirst())
      guard !host.isEmpty,
        host.utf8.allSatisfy({ isHexDigit($0) || $0 == UInt8(ascii: ":") || $0 == UInt8(ascii: ".") })
      else { throw Malformed("expected an IPv6 address within []") }
    } else {
      (host, port) = split(text, at: ":")
      guard !host.isEmpty, host.utf8.allSatisfy({ isLetterOrDigit($0) || "-._".utf8.contains($0) }) else {
        throw Malformed("expected a host of letters, digits, hyphens and dots")
      }
    }
    guard let port else { return .tcp(host: String(host), port: 6379) }
    guard let number = number(port).flatMap(UInt16.init(exactly:)), number > 0 else {
      throw Malformed("expected a port from 1 to 65535")
    }
    return .tcp(host: String(host), port: number)
  }

  private static func database(_ text: Substring) throws(Malformed) -> Int {
    guard let number = number(text) else { throw Malformed("expected the number of a database") }
    return number
  }

  /// Digits only, and not too many of them.
  private static func number(_ text: Substring) -> Int? {
    guard (1...9).contains(text.utf8.count), text.utf8.allSatisfy({ 0x30...0x39 ~= $0 }) else { return nil }
    return Int(text)
  }

  /// `behind` is nil without a separator.
  private static func split(
    _ text: some StringProtocol, at separator: String
  ) -> (before: Substring, behind: Substring?) {
    let text = Substring(text)
    guard let range = text.firstRange(of: separator) else { return (text, nil) }
    return (text[..<range.lowerBound], text[range.upperBound...])
  }

  /// Percent-decoded, once (RFC 3986 §2.1).
  private static func decoded(_ text: Substring) throws(Malformed) -> [UInt8] {
    var (result, rest) = ([UInt8](), Array(text.utf8)[...])
    while let byte = rest.popFirst() {
      if byte != UInt8(ascii: "%") {
        result.append(byte)
        continue
      }
      let digits = rest.prefix(2)
      guard digits.count == 2, digits.allSatisfy(isHexDigit),
        let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 16)
      else { throw Malformed("a % is written as %25, or followed by two hexadecimal digits") }
      result.append(value)
      rest = rest.dropFirst(2)
    }
    return result
  }

  private static func isHexDigit(_ byte: UInt8) -> Bool {
    0x30...0x39 ~= byte || 0x61...0x66 ~= byte | 0x20
  }

  private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
    0x30...0x39 ~= byte || 0x61...0x7A ~= byte | 0x20
  }
}
