import Basics
import OAuth
import IO
import BrokerCore

extension Format where Value == SocketAddress {
  static var address: Format {
    Format { text throws(Unexpected) in
      do throws(AddressError) { return try SocketAddress(parsing: text) } catch { throw Unexpected("\(error)") }
    }
  }
}

extension Format where Value == ListenAddress {
  /// With `https://` before it and `?proxy=required` behind it, or without.
  static var listenAddress: Format {
    Format(show: { "\($0.isTLS ? "https://" : "")\($0.address)\($0.requiresProxy ? "?proxy=required" : "")" }) {
      text throws(Unexpected) in
      let isTLS = text.starts(with: "https://")
      let parts = (isTLS ? text.dropFirst("https://".count) : text[...])
        .split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
      let isUnix = parts[0].starts(with: "unix:")
      if !isUnix, parts.count == 2, parts[1] != "proxy=required" {
        throw Unexpected("'\(text)': expected nothing behind ? but proxy=required")
      }
      let address = isUnix ? parts.joined(separator: "?") : String(parts[0])
      return ListenAddress(
        address: try Format<SocketAddress>.address.read(address), isTLS: isTLS,
        requiresProxy: !isUnix && parts.count == 2)
    }
  }
}

extension Format where Value == AddressRange {
  static var addressRange: Format {
    Format("an IP address, or a range such as 10.0.0.0/8 or fd00::/8") { AddressRange($0) }
  }
}

extension Format where Value == SocketAddress? {
  static var addressOrOff: Format {
    Format(show: { $0.map { "\($0)" } ?? "off" }) { text throws(Unexpected) in
      text == "off" ? nil : try Format<SocketAddress>.address.read(text)
    }
  }
}

extension Format where Value == String {
  static var audience: Format {
    Format { text throws(Unexpected) in
      if let problem = Audience.problem(with: text) { throw Unexpected(problem) }
      return text
    }
  }

  static var scope: Format { Format("scopes separated by spaces") { ScopeList.canonical($0) } }

  /// A proxy's URL, which may hold a password.
  static var proxy: Format {
    Format("the proxy's URL, with http://, https:// or socks5h://", isSecret: true) { text in
      ["http://", "https://", "socks5h://"].contains { text.starts(with: $0) } ? text : nil
    }
  }

  static func oneOf(_ words: [String]) -> Format {
    Format("one of \(words.joined(separator: ", "))") { words.contains($0) ? $0 : nil }
  }

  /// An `https://` URL, or one of this machine, without user, query or fragment.
  static var url: Format {
    Format { text throws(Unexpected) in
      guard let parts = URLParts(text), parts.isConfidential, parts.user == nil, parts.query == nil,
        parts.fragment == nil
      else {
        // Without what was found: a URL may hold a password.
        throw Unexpected(
          "expected an https:// URL without user, query or fragment; http:// is for 127.0.0.1, [::1] and localhost")
      }
      return text
    }
  }

  /// A URL of an OAuth server.
  static var serverURL: Format {
    Format { text throws(Unexpected) in
      let url = try Self.url.read(text)
      if let parts = URLParts(url) { try refusePlaceholder(parts.host) }
      return url
    }
  }

  /// Refuses the top-level names that RFC 2606 keeps for examples: nobody can register what stands under them, so an
  /// example that was not filled in sends no secret anywhere.
  private static func refusePlaceholder(_ host: String) throws(Unexpected) {
    guard let top = host.lowercased().split(separator: ".").last, ["example", "invalid"].contains(top) else { return }
    throw Unexpected("still the placeholder of an example; expected your own tenant's or server's name in its place")
  }

  /// A tenant's base URL: `https://host[:port]`, without a slash at its end nor the port that goes without saying, for
  /// its issuer has neither.
  static var tenant: Format {
    Format { domain throws(Unexpected) in
      let text = domain.lowercased()
      guard let parts = URLParts(text.contains("://") ? text : "https://\(text)"), parts.isConfidential,
        parts.user == nil, ["", "/"].contains(parts.path), parts.query == nil, parts.fragment == nil
      else {
        let blank = domain.contains(where: \.isWhitespace) ? "; there is a space in it" : ""
        throw Unexpected(
          "expected a domain such as acme.eu.auth0.com, or an https:// URL of only a host and perhaps a port; "
            + "http:// is for 127.0.0.1, [::1] and localhost\(blank)")
      }
      try refusePlaceholder(parts.host)
      guard let port = parts.port, port == parts.defaultPort else { return parts.origin }
      return String(parts.origin.dropLast(":\(port)".utf8.count))
    }
  }
}

extension Format where Value == URLParts {
  /// The URL that clients have of the broker, perhaps with the path that a proxy takes off; without a slash at its end.
  static var publicURL: Format {
    Format { text throws(Unexpected) in
      let text = text.last == "/" ? String(text.dropLast()) : text
      guard let parts = URLParts(text), ["https", "http"].contains(parts.scheme), parts.user == nil,
        parts.query == nil, parts.fragment == nil, !parts.path.hasSuffix("/")
      else {
        // Without what was found: a URL may hold a password.
        throw Unexpected("expected an https:// or http:// URL without user, query or fragment")
      }
      return parts
    }
  }
}

extension Format where Value == Verification {
  static var verification: Format {
    Format("jwt or opaque") { ["jwt": .jwt, "opaque": .opaque][$0] }
  }
}

extension Format where Value == Secret {
  static func secret(_ expectation: String) -> Format {
    Format(isSecret: true) { text throws(Unexpected) in
      if text.isEmpty { throw Unexpected("expected \(expectation); it is empty") }
      guard !text.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) else {
        throw Unexpected("expected \(expectation), without control characters")
      }
      if UnexpandedVariable.isOne(text.utf8.span) {
        throw Unexpected("expected \(expectation); \(UnexpandedVariable.words)")
      }
      return Secret(text.utf8)
    }
  }
}

extension Format where Value == SHA256Digest {
  static var sha256Digest: Format {
    // Secret is what was found instead, which may be the key itself, and not the digest.
    let expectation = "the SHA-256 of a key in 64 hexadecimal digits, as token-broker key prints it"
    var format = Format(expectation, isSecret: true, show: \.hex) { SHA256Digest(hex: $0) }
    format.isSecret = false
    return format
  }
}

extension Format where Value == CertificateName {
  static var certificateName: Format {
    Format(
      "a URI such as spiffe://example.com/a, dns:host.example.com, or subject:CN=a,O=b", show: \.description
    ) { CertificateName($0) }
  }
}

extension Format where Value == UInt32 {
  static var unixID: Format {
    Format("a numeric id") { text in text.utf8.allSatisfy { 0x30...0x39 ~= $0 } ? UInt32(text) : nil }
  }
}
