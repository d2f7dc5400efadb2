internal import Glibc

/// A URL taken apart (RFC 3986 §3), as strictly as it can be: whoever judges a host by this value judges the one that
/// libcurl connects to. Whatever two readers could read differently is malformed.
package struct URLParts: Sendable, Hashable {
  /// The part that is wrong. Nothing of the URL is quoted: anything may be a password in the wrong place.
  package enum Malformed: Error, Hashable {
    case scheme, credentials, brackets, ipv6Address, host, port, path, query, fragment
  }

  /// In lower case.
  package let scheme: String
  /// As written, still percent-encoded; nil without an `@`.
  package let user: String?
  /// As written, still percent-encoded; nil without a colon behind the user.
  package let password: String?
  /// As written, but without the brackets of an IPv6 address.
  package let host: String
  package let isIPv6Literal: Bool
  package let port: UInt16?
  /// Empty, or with a slash at its beginning.
  package let path: String
  /// What follows `?`; nil without one.
  package let query: String?
  /// What follows `#`; nil without one.
  package let fragment: String?

  /// nil for what `init(parsing:)` throws at.
  package init?(_ text: String) {
    do { try self.init(parsing: text) } catch { return nil }
  }

  /// Reads `scheme://[user[:password]@]host[:port][/path][?query][#fragment]`, visible ASCII only. The host is a name,
  /// four decimal numbers or an IPv6 address in brackets; with `mayLackHost` it may also be empty. Throws the first
  /// part that is wrong.
  package init(parsing text: String, mayLackHost: Bool = false) throws(Malformed) {
    let (scheme, behind) = Self.split(text[...], at: UInt8(ascii: ":"))
    guard let behind, behind.utf8.starts(with: "//".utf8) else { throw .scheme }
    let rest = Substring(behind.utf8.dropFirst(2))
    let (beforeFragment, fragment) = Self.split(rest, at: UInt8(ascii: "#"))
    let (beforeQuery, query) = Self.split(beforeFragment, at: UInt8(ascii: "?"))
    let slash = beforeQuery.utf8.firstIndex(of: UInt8(ascii: "/")) ?? beforeQuery.endIndex
    let (authority, path) = (beforeQuery[..<slash], beforeQuery[slash...])
    guard Self.isScheme(scheme) else { throw .scheme }
    (user, password, host, isIPv6Literal, port) = try Self.read(authority, mayLackHost: mayLackHost)
    guard Self.isPlain(path) else { throw .path }
    guard query.map(Self.isPlain) ?? true else { throw .query }
    guard fragment.map(Self.isPlain) ?? true else { throw .fragment }
    self.scheme = String(scheme)
    self.path = String(path)
    self.query = query.map { String($0) }
    self.fragment = fragment.map { String($0) }
  }
}

extension URLParts {
  /// The port that goes without saying; nil where the scheme is not known here.
  package var defaultPort: UInt16? {
    switch scheme {
    case "https": 443
    case "http": 80
    case "redis", "rediss": 6379
    case "socks4", "socks4a", "socks5", "socks5h": 1080
    default: nil
    }
  }

  /// Such as `example.com:443` or `[::1]:80`, for messages: without what may be secret in a URL.
  package var hostAndPort: String {
    let host = isIPv6Literal ? "[\(host)]" : host
    return (port ?? defaultPort).map { "\(host):\($0)" } ?? host
  }

  /// Such as `https://example.com:8443`: scheme, host, and the port if the URL has one.
  package var origin: String { "\(scheme)://\(isIPv6Literal ? "[\(host)]" : host)\(port.map { ":\($0)" } ?? "")" }

  /// True for `localhost`, `[::1]` and the addresses of 127.0.0.0/8, written like this and in no other way.
  package var isLoopback: Bool {
    isIPv6Literal ? host == "::1" : host == "localhost" || host.hasPrefix("127.") && Self.isIPv4Address(host)
  }

  /// Whether what is sent there can be read by nobody on the way: it goes over TLS, or does not leave this machine.
  package var isConfidential: Bool { scheme == "https" || scheme == "http" && isLoopback }
}

extension URLParts: CustomStringConvertible {
  /// Without user, password, query and fragment.
  package var description: String { origin + path }
}

// MARK: Reading

extension URLParts {
  private typealias Authority = (user: String?, password: String?, host: String, isIPv6Literal: Bool, port: UInt16?)

  private static func read(_ authority: Substring, mayLackHost: Bool) throws(Malformed) -> Authority {
    // A second @ is part of neither a password nor a host: it would have to be percent-encoded.
    let (before, behind) = split(authority, at: UInt8(ascii: "@"))
    let (user, password) = behind == nil ? (nil, nil) : split(before, at: UInt8(ascii: ":"))
    guard user.map(isCredential) ?? true, password.map(isCredential) ?? true else { throw .credentials }
    let place = behind ?? before
    if place.isEmpty, mayLackHost { return (user.map { String($0) }, password.map { String($0) }, "", false, nil) }
    let isIPv6Literal = place.utf8.first == UInt8(ascii: "[")
    let (host, port) = isIPv6Literal ? try splitLiteral(place) : split(place, at: UInt8(ascii: ":"))
    guard isIPv6Literal || isHost(host) else { throw .host }
    var number: UInt16?
    if let port {
      number = Self.number(port, upTo: .max)
      guard let number, number > 0 else { throw .port }
    }
    return (user.map { String($0) }, password.map { String($0) }, String(host), isIPv6Literal, number)
  }

  /// The address between the brackets, and the port.
  private static func splitLiteral(_ place: Substring) throws(Malformed) -> (host: Substring, port: Substring?) {
    let (address, behind) = split(Substring(place.utf8.dropFirst()), at: UInt8(ascii: "]"))
    guard let behind, behind.isEmpty || behind.utf8.first == UInt8(ascii: ":") else { throw .brackets }
    guard isIPv6Address(address) else { throw .ipv6Address }
    return (address, behind.isEmpty ? nil : Substring(behind.utf8.dropFirst()))
  }

  /// `behind` is nil without a separator.
  private static func split(
    _ text: Substring, at separator: UInt8
  ) -> (before: Substring, behind: Substring?) {
    guard let index = text.utf8.firstIndex(of: separator) else { return (text, nil) }
    return (text[..<index], text[text.utf8.index(after: index)...])
  }

  private static func isScheme(_ text: Substring) -> Bool {
    guard let first = text.utf8.first, 0x61...0x7A ~= first else { return false }
    return text.utf8.allSatisfy { 0x61...0x7A ~= $0 || 0x30...0x39 ~= $0 || "+-.".utf8.contains($0) }
  }

  /// Passwords are often put there as they are; only what ends a user or a host must be encoded.
  private static func isCredential(_ text: Substring) -> Bool {
    text.utf8.allSatisfy { 0x21...0x7E ~= $0 && $0 != UInt8(ascii: "\\") }
  }

  /// Visible ASCII without what RFC 3986 allows nowhere.
  private static func isPlain(_ text: Substring) -> Bool {
    text.utf8.allSatisfy { 0x21...0x7E ~= $0 && !"#\\\"<>^`{|}".utf8.contains($0) }
  }

  /// A name, or an IPv4 address in full. A name whose last label is a number is refused: libcurl takes `127.1`,
  /// `0x7f.0.0.1` and `2130706433` for addresses.
  private static func isHost(_ text: Substring) -> Bool {
    guard let first = text.utf8.first, isLetterOrDigit(first) || first == UInt8(ascii: "_"),
      text.utf8.allSatisfy({ isLetterOrDigit($0) || "-._".utf8.contains($0) })
    else { return false }
    let labels = text.utf8.split(separator: UInt8(ascii: "."))
    guard let last = labels.last, !isNumber(Substring(last)) else { return isIPv4Address(text) }
    return true
  }

  /// Whether a label may be read as a number, decimal, octal or hexadecimal.
  private static func isNumber(_ label: Substring) -> Bool {
    label.lowercased().hasPrefix("0x") || label.utf8.allSatisfy { 0x30...0x39 ~= $0 }
  }

  /// Four decimal numbers, without zeros in front of them.
  private static func isIPv4Address(_ text: some StringProtocol) -> Bool {
    let parts = Substring(text).utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    return parts.count == 4 && parts.allSatisfy { number(Substring($0), upTo: 255) != nil }
  }

  /// Without a zone, which libcurl would take off.
  private static func isIPv6Address(_ text: Substring) -> Bool {
    guard text.utf8.allSatisfy({ Hex.value($0) != nil || ":.".utf8.contains($0) }) else { return false }
    var address = in6_addr()
    return unsafe inet_pton(AF_INET6, String(text), &address) == 1
  }

  /// Digits only, and no zeros in front of them.
  private static func number(_ text: some StringProtocol, upTo most: UInt16) -> UInt16? {
    guard (1...5).contains(text.utf8.count), text.utf8.allSatisfy({ 0x30...0x39 ~= $0 }),
      text.utf8.count == 1 || text.utf8.first != 0x30, let number = UInt16(text), number <= most
    else { return nil }
    return number
  }

  private static func isLetterOrDigit(_ byte: UInt8) -> Bool { 0x30...0x39 ~= byte || 0x61...0x7A ~= byte | 0x20 }
}
