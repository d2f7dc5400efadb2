import Basics

/// How id and secret are written before they become an `Authorization` field's value.
package enum BasicEncoding: String, Sendable, CaseIterable {
  /// Form-encoded, so that neither can hold the colon between them (RFC 6749 §2.3.1).
  case form
  /// As they are (RFC 7617 §2): for servers that do not decode them.
  case raw
}

/// A client's credentials as an `Authorization` field's value (RFC 6749 §2.3.1, RFC 7617 §2).
enum BasicCredentials {
  /// `Basic …`.
  static func value(clientID: String, secret: Secret, _ encoding: BasicEncoding = .form) -> Secret {
    let pair = Secret(capacity: 3 * (clientID.utf8.count + secret.count) + 1) { writer in
      switch encoding {
      case .form:
        FormEncoding.append(clientID, to: &writer)
        writer.append(UInt8(ascii: ":"))
        FormEncoding.append(secret, to: &writer)
      case .raw:
        writer.append("\(clientID):".utf8)
        writer.append(secret)
      }
    }
    let scheme = "Basic "
    return Secret(capacity: scheme.utf8.count + (pair.count + 2) / 3 * 4) { writer in
      writer.append(scheme.utf8)
      pair.withBytes { appendBase64($0, to: &writer) }
    }
  }

  private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

  /// RFC 4648 §4. Written here because a library's encoder would leave the secret in memory that nobody wipes.
  private static func appendBase64(_ bytes: Span<UInt8>, to writer: inout Secret.Writer) {
    for start in stride(from: 0, to: bytes.count, by: 3) {
      let count = min(3, bytes.count - start)
      var group = 0
      for index in start..<start + 3 { group = group << 8 | (index < bytes.count ? Int(bytes[index]) : 0) }
      for place in 0..<4 {
        let digit = place <= count ? alphabet[group >> (18 - 6 * place) & 63] : UInt8(ascii: "=")
        writer.append(digit)
      }
    }
  }
}
