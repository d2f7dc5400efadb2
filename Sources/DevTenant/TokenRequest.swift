import FoundationEssentials
import HTTPServer

/// A request to the token endpoint, as it came: nothing in it has been checked.
struct TokenRequest {
  private var parameters: [String: String] = [:]

  /// Reads a form or JSON body, and credentials by Basic (RFC 6749 §2.3.1).
  init(contentType: String?, authorization: String?, body: [UInt8]) {
    if contentType?.lowercased().hasPrefix("application/json") == true {
      parameters = (try? JSONDecoder().decode([String: String].self, from: Data(body))) ?? [:]
    } else {
      for pair in String(decoding: body, as: UTF8.self).split(separator: "&") {
        let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        parameters[Self.decode(parts[0])] = parts.count == 2 ? Self.decode(parts[1]) : ""
      }
    }
    if let authorization, authorization.lowercased().hasPrefix("basic "),
      let decoded = Data(base64Encoded: String(authorization.dropFirst(6)))
    {
      let parts = String(decoding: decoded, as: UTF8.self).split(separator: ":", maxSplits: 1)
      if parts.count == 2 {
        parameters["client_id"] = Self.decode(parts[0])
        parameters["client_secret"] = Self.decode(parts[1])
      }
    }
  }

  private static func decode(_ text: Substring) -> String {
    let bytes = Array(text.utf8)
    return PercentDecoder.formText(bytes.span, 0..<bytes.count) ?? String(text)
  }

  private func value(_ name: String) -> String? {
    guard let value = parameters[name], !value.isEmpty else { return nil }
    return value
  }

  var grantType: String? { value("grant_type") }
  var clientID: String? { value("client_id") }
  var clientSecret: String? { value("client_secret") }
  var audience: String? { value("audience") }
  var organization: String? { value("organization") }
  var scopes: [String] { (value("scope") ?? "").split(separator: " ").map(String.init) }
}
