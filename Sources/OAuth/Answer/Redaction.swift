import Basics

/// Takes out of a foreign text what must not be shown: the secrets that the request was made with, as they are, as a
/// form has them and as Basic has them, and whatever looks like a JWT.
struct Redaction {
  static let mark = "[redacted]"

  private let secrets: [Secret]

  init() { secrets = [] }

  /// Shorter ones would be found in the middle of any text.
  private static let leastParameter = 6

  /// For an answer to a request with these credentials of this client, and with parameters of which any may be secret.
  init(_ credential: Credential, of clientID: String, and parameters: [Secret] = []) {
    let secrets = credential.secrets.filter { !$0.isEmpty }
    let inClear = secrets + parameters.filter { $0.count >= Self.leastParameter }
    let inForms = inClear.map { FormEncoding.body([FormParameter("", $0)]).withoutPrefix(1) }
    let inBasic = secrets.flatMap { secret in
      [BasicEncoding.form, .raw].map { encoding in
        BasicCredentials.value(clientID: clientID, secret: secret, encoding)
          .withoutPrefix("Basic ".utf8.count).withoutPadding
      }
    }
    self.secrets = inClear + inForms + inBasic
  }

  func apply(to text: String) -> String {
    var bytes = Array(text.utf8)
    for secret in secrets { bytes = Self.replace(secret, in: bytes) }
    return Self.withoutTokens(String(decoding: bytes, as: UTF8.self))
  }

  /// Compares bytes where they lie, so that the secret is copied nowhere, and without regard to case, which differs
  /// between ways to write `%2F`.
  private static func replace(_ secret: Secret, in text: [UInt8]) -> [UInt8] {
    secret.withBytes { secret in
      var (result, index) = ([UInt8](), 0)
      while index < text.count {
        if index + secret.count <= text.count,
          (0..<secret.count).allSatisfy({ text[index + $0] | 0x20 == secret[$0] | 0x20 })
        {
          result += mark.utf8
          index += secret.count
          while index < text.count, text[index] == UInt8(ascii: "=") { index += 1 }
        } else {
          result.append(text[index])
          index += 1
        }
      }
      return result
    }
  }

  /// A run of the characters that a JWT is made of is taken for one if it holds the beginning of a JSON object in
  /// base64url, and is as long as one or has three parts.
  private static func withoutTokens(_ text: String) -> String {
    func isOfTokens(_ character: Character) -> Bool {
      character.isASCII && (character.isLetter || character.isNumber || "-_.".contains(character))
    }
    var (result, rest) = ("", text[...])
    while let first = rest.first {
      let run = rest.prefix { isOfTokens($0) == isOfTokens(first) }
      result += isOfTokens(first) && isToken(run) ? mark[...] : run
      rest = rest[run.endIndex...]
    }
    return result
  }

  private static func isToken(_ run: Substring) -> Bool {
    if run.contains("eyJ") && run.utf8.count >= 16 { return true }
    let parts = run.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count >= 3, let bytes = Base64URL.decode(parts[0]), bytes.count > 1 else { return false }
    return bytes[0] == UInt8(ascii: "{") && "\" \t\r\n".utf8.contains(bytes[1])
  }
}

extension Secret {
  /// Without `=` at its end.
  fileprivate var withoutPadding: Secret {
    Secret(capacity: count) { writer in
      withBytes { bytes in
        let end = bytes.indices.last { bytes[$0] != UInt8(ascii: "=") }.map { $0 + 1 } ?? 0
        for index in 0..<end { writer.append(bytes[index]) }
      }
    }
  }

  fileprivate func withoutPrefix(_ count: Int) -> Secret {
    Secret(capacity: self.count - count) { writer in
      withBytes { bytes in for index in count..<bytes.count { writer.append(bytes[index]) } }
    }
  }
}
