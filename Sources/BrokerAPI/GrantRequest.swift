import Basics
import FoundationEssentials
import HTTPServer
import OAuth

/// A request to `POST /oauth/token`, as existing OAuth clients send it (RFC 6749 §4.4.2, RFC 8707 §2).
struct GrantRequest {
  var query: TokenQuery
  let credentials: ClientCredentials?
  /// The members that are not known here, by their names' order.
  let others: [(name: String, value: String)]

  /// Reads a form or a JSON object, beside what the URL says. Throws the problem to answer with.
  init(
    url: URLParameters = URLParameters(), contentType: String?, authorization: String?, body: [UInt8]
  ) throws(Problem) {
    let members = try GrantMembers(contentType, body)
    credentials = try Self.credentials(authorization, members)
    switch members["grant_type"] {
    case "client_credentials": break
    case nil: throw Problem(.invalidRequest, "grant_type is missing; it must be client_credentials")
    default: throw Problem(.unsupportedGrantType, "the only grant_type is client_credentials")
    }
    query = try TokenQuery(members, url)
    others = members.names.subtracting(Self.known).sorted().compactMap { name in
      members[name].map { (name, $0) }
    }
  }

  /// For the tenant of those who bring credentials of their own. They are kept for as long as the token is.
  func passOn() throws(Problem) -> [(name: String, value: Secret)] {
    guard others.reduce(0, { $0 + $1.name.utf8.count + $1.value.utf8.count }) <= Self.mostOtherBytes else {
      throw Problem(.invalidRequest, "the members that go on to the tenant are more than \(Self.mostOtherBytes) bytes")
    }
    return others.map { ($0.name, Secret($0.value.utf8)) }
  }

  private static let mostOtherBytes = 4096

  private static let known: Set = [
    "grant_type", "client_id", "client_secret", "audience", "resource", "scope", "organization",
  ]
  /// What Microsoft's libraries ask for: facts on the user, of whom there is none in this grant.
  private static let meaningless: Set = ["client_info"]

  /// For those whom the broker itself gives tokens: what they ask for is not left out in silence.
  func refuseOthers() throws(Problem) {
    let names = others.map(\.name).filter { !Self.meaningless.contains($0) }
    if names.isEmpty { return }
    let list = names.prefix(8).map { PrintableText.text($0, limit: 64) }.joined(separator: ", ")
    throw Problem(
      .invalidRequest, "unknown members: \(list); those known are \(Self.known.sorted().joined(separator: ", "))")
  }

  private static func credentials(
    _ authorization: String?, _ members: GrantMembers
  ) throws(Problem) -> ClientCredentials? {
    if members["client_assertion"] != nil || members["client_assertion_type"] != nil { throw .unsupportedAssertion }
    if let id = members["client_id"], Audience.problem(with: id) != nil {
      throw Problem(.invalidRequest, "client_id is too long or malformed")
    }
    let basic = try authorization.flatMap { field throws(Problem) in try ClientCredentials(authorization: field) }
    guard let basic else {
      let secret = members["client_secret"].map { Secret($0.utf8) }
      guard let id = members["client_id"] else {
        if secret == nil { return nil }
        throw Problem(.invalidRequest, "client_secret without client_id")
      }
      return ClientCredentials(clientID: id, secret: secret)
    }
    if members["client_secret"] != nil || members["client_id"].map({ !basic.mayName($0) }) ?? false {
      throw Problem(.invalidRequest, "the client proves itself in two ways (RFC 6749, section 2.3)")
    }
    return basic
  }
}

/// What the URL of a token endpoint says beside the body, for clients that cannot put it there (RFC 6749 §3.2).
struct URLParameters {
  var audience: String?
  var members: [String: String] = [:]

  init() {}

  /// `audience` is what stands behind the endpoint's path; nil for the endpoint itself.
  init(audience: Range<Int>?, _ request: Request) throws(Problem) {
    self.audience = try audience.map { range throws(Problem) in try TokenQuery.audience(at: range, request) }
    members = try TokenQuery.parameters(of: request, known: ["audience", "resource", "scope", "organization"])
  }
}

/// The members of a form or a JSON object. Those without a value count as left out (RFC 6749 §3.2).
struct GrantMembers {
  private static let most = 32

  private var members: [String: String] = [:]

  /// Throws where there are more than anybody has use for: each is looked at before it is known who asks.
  init(_ contentType: String?, _ body: [UInt8]) throws(Problem) {
    switch contentType?.prefix(while: { $0 != ";" }).trimmingSpaces.lowercased() {
    case "application/x-www-form-urlencoded": try readForm(body)
    case "application/json": try readJSON(body)
    default:
      throw Problem(.invalidRequest, "the Content-Type must be application/x-www-form-urlencoded or application/json")
    }
  }

  subscript(_ name: String) -> String? { members[name] }
  var names: Set<String> { Set(members.keys) }

  private mutating func readForm(_ body: [UInt8]) throws(Problem) {
    var names: Set<String> = []
    let pairs = body.split(separator: UInt8(ascii: "&"), maxSplits: Self.most)
    if pairs.count > Self.most { throw Self.tooMany }
    for pair in pairs {
      let equals = pair.firstIndex(of: UInt8(ascii: "=")) ?? pair.endIndex
      guard let name = Self.decode(pair[..<equals]), let value = Self.decode(pair[equals...].dropFirst()) else {
        throw Problem(.invalidRequest, "the form is malformed")
      }
      let isNew = names.insert(name).inserted
      try add(name, value, isNew: isNew)
    }
  }

  private static var tooMany: Problem { Problem(.invalidRequest, "there are more than \(most) members") }

  private static func decode(_ bytes: ArraySlice<UInt8>) -> String? {
    let bytes = Array(bytes)
    return PercentDecoder.formText(bytes.span, 0..<bytes.count)
  }

  private mutating func readJSON(_ body: [UInt8]) throws(Problem) {
    let object: JSONObject
    do throws(JSONObject.Flaw) {
      object = try JSONObject(body)
    } catch {
      let isMalformed = error == .malformed
      throw Problem(.invalidRequest, isMalformed ? "the body is no JSON object" : "a member stands there twice")
    }
    if object.names.count > Self.most { throw Self.tooMany }
    for name in object.names {
      let texts: [String]
      do throws(JSONObject.WrongType) {
        texts = if name == "resource" { try object.texts(name) ?? [] } else { try object.text(name).map { [$0] } ?? [] }
      } catch {
        throw Problem(.invalidRequest, "\(PrintableText.text(name, limit: 64)) is no text")
      }
      for (place, text) in texts.enumerated() { try add(name, text, isNew: place == 0) }
    }
  }

  /// Only `resource` may stand there several times (RFC 8707 §2), and as a token is for one API, with one value.
  private mutating func add(_ name: String, _ value: String, isNew: Bool) throws(Problem) {
    guard isNew || name == "resource" else {
      throw Problem(.invalidRequest, "\(PrintableText.text(name, limit: 64)) stands there twice")
    }
    if value.isEmpty { return }
    if let former = members.updateValue(value, forKey: name), !former.utf8.elementsEqual(value.utf8) {
      throw Problem(.invalidRequest, "a token is for one API, and there are several values of resource")
    }
  }
}

extension TokenQuery {
  /// What a body and the URL that it was sent to ask for. Throws where they contradict each other.
  fileprivate init(_ members: GrantMembers, _ url: URLParameters) throws(Problem) {
    func value(_ name: String) throws(Problem) -> String? {
      guard let given = members[name] else { return url.members[name] }
      if Audience.problem(with: given) != nil {
        throw Problem(name == "scope" ? .invalidScope : .invalidRequest, "\(name) is too long or malformed")
      }
      guard url.members[name].map({ $0.utf8.elementsEqual(given.utf8) }) ?? true else {
        throw Problem(.invalidRequest, "\(name) is another in the URL than in the body")
      }
      return given
    }
    let audiences = [
      members["audience"], members["resource"], url.audience, url.members["audience"], url.members["resource"],
    ].compactMap(\.self)
    for audience in audiences {
      if let problem = Audience.problem(with: audience) { throw Problem(.invalidTarget, problem) }
      guard audience.utf8.elementsEqual(audiences[0].utf8) else {
        throw Problem(.invalidRequest, "the request names two audiences, as audience, as resource or in its URL")
      }
    }
    try self.init(audience: audiences.first, scope: value("scope"), organization: value("organization"))
    isAudienceInPath = url.audience != nil
  }
}
