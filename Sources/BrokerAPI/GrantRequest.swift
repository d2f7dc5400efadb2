import Basics
import FoundationEssentials
import HTTPServer
import OAuth

/// A request to `POST /oauth/token`, as existing OAuth clients send it (RFC 6749 §4.4.2, RFC 8707 §2).
struct GrantRequest {
  /// How a client says who it is (RFC 6749 §2.3.1).
  struct Credentials: Sendable {
    let clientID: String
    /// nil: the client proves itself in another way.
    let secret: Secret?
    let isBasic: Bool
  }

  var query: TokenQuery
  let credentials: Credentials?

  /// Reads a form or a JSON object. Throws the problem to answer with.
  init(contentType: String?, authorization: String?, body: [UInt8]) throws(Problem) {
    let parameters = try Self.parameters(contentType, body)
    credentials = try Self.credentials(authorization, parameters)
    switch parameters["grant_type"] {
    case "client_credentials": break
    case nil: throw Problem(.invalidRequest, "grant_type is missing; it must be client_credentials")
    default: throw Problem(.unsupportedGrantType, "the only grant_type is client_credentials")
    }
    for name in ["client_id", "scope", "organization"] {
      if let value = parameters[name], Audience.problem(with: value) != nil {
        throw Problem(name == "scope" ? .invalidScope : .invalidRequest, "\(name) is too long or malformed")
      }
    }
    let targets = [parameters["audience"], parameters["resource"]].compactMap(\.self)
    guard let audience = targets.first else { throw Problem(.invalidRequest, "audience (or resource) is missing") }
    guard targets.count == 1 || targets[0].utf8.elementsEqual(targets[1].utf8) else {
      throw Problem(.invalidTarget, "audience and resource differ")
    }
    if let problem = Audience.problem(with: audience) { throw Problem(.invalidTarget, problem) }
    query = TokenQuery(grant: try Grant(audience: audience, parameters))
  }

  /// Without those that have no value, which count as left out (RFC 6749 §3.2).
  private static func parameters(_ contentType: String?, _ body: [UInt8]) throws(Problem) -> [String: String] {
    let type = contentType?.prefix { $0 != ";" }.trimmingSpaces.lowercased()
    switch type {
    case "application/x-www-form-urlencoded": return try form(body)
    case "application/json": return try json(body)
    default:
      throw Problem(.invalidRequest, "the Content-Type must be application/x-www-form-urlencoded or application/json")
    }
  }

  private static func form(_ body: [UInt8]) throws(Problem) -> [String: String] {
    var parameters: [String: String] = [:]
    for pair in body.split(separator: UInt8(ascii: "&")) {
      let equals = pair.firstIndex(of: UInt8(ascii: "=")) ?? pair.endIndex
      guard let name = decode(pair[..<equals]), let value = decode(pair[equals...].dropFirst()) else {
        throw Problem(.invalidRequest, "the form is malformed")
      }
      if parameters.updateValue(value, forKey: name) != nil { throw repeated }
    }
    return parameters.filter { !$0.value.isEmpty }
  }

  private static func decode(_ bytes: ArraySlice<UInt8>) -> String? {
    let bytes = Array(bytes)
    return PercentDecoder.formText(bytes.span, 0..<bytes.count)
  }

  private static func json(_ body: [UInt8]) throws(Problem) -> [String: String] {
    guard let members = try? JSONDecoder().decode([String: Member].self, from: Data(body)) else {
      throw Problem(.invalidRequest, "the body is no JSON object")
    }
    if JSONKeys.areAmbiguous(in: body) { throw repeated }
    var parameters: [String: String] = [:]
    for name in known {
      switch members[name] {
      case .text(let text) where !text.isEmpty: parameters[name] = text
      case nil, .text, .null: break
      case .other: throw Problem(.invalidRequest, "\(name) is no text")
      }
    }
    return parameters
  }

  private static let known = [
    "grant_type", "client_id", "client_secret", "audience", "resource", "scope", "organization",
  ]
  private static var repeated: Problem { Problem(.invalidRequest, "a parameter stands there twice") }

  private enum Member: Decodable {
    case text(String), null, other

    init(from decoder: any Decoder) throws {
      let value = try decoder.singleValueContainer()
      if value.decodeNil() { self = .null } else { self = (try? value.decode(String.self)).map(Member.text) ?? .other }
    }
  }

  // MARK: Credentials

  private static func credentials(
    _ authorization: String?, _ parameters: [String: String]
  ) throws(Problem) -> Credentials? {
    let basic = try authorization.flatMap { text throws(Problem) in try self.basic(text) }
    guard let basic else {
      let secret = parameters["client_secret"].map { Secret($0.utf8) }
      guard let id = parameters["client_id"] else {
        if secret == nil { return nil }
        throw Problem(.invalidRequest, "client_secret without client_id")
      }
      return Credentials(clientID: id, secret: secret, isBasic: false)
    }
    if parameters["client_secret"] != nil || parameters["client_id"].map({ $0 != basic.clientID }) ?? false {
      throw Problem(.invalidRequest, "the client proves itself in two ways (RFC 6749, section 2.3)")
    }
    return basic
  }

  /// nil for another scheme. Id and secret are form-encoded before they are joined (RFC 6749 §2.3.1).
  private static func basic(_ authorization: String) throws(Problem) -> Credentials? {
    guard authorization.utf8.count > 6, authorization.prefix(6).lowercased() == "basic " else { return nil }
    let parts = Data(base64Encoded: String(authorization.dropFirst(6).trimmingSpaces))?
      .split(separator: UInt8(ascii: ":"), maxSplits: 1, omittingEmptySubsequences: false)
    guard let parts, parts.count == 2, let id = decode(Array(parts[0])[...]), Audience.problem(with: id) == nil,
      let secret = decode(Array(parts[1])[...])
    else { throw Problem(.invalidRequest, "the Basic credentials are malformed") }
    return Credentials(clientID: id, secret: Secret(secret.utf8), isBasic: true)
  }
}
