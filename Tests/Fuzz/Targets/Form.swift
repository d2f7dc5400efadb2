import Basics

@testable import HTTPServer
@testable import OAuth
@testable import BrokerAPI

extension FuzzTarget {
  /// A request to `/oauth/token`: its Content-Type, its Authorization, and the body behind these two lines.
  static let form = FuzzTarget(name: "form") { bytes in
    let lines = bytes.split(separator: 10, maxSplits: 2, omittingEmptySubsequences: false)
    let type = String(decoding: lines[0], as: UTF8.self)
    let authorization = lines.count > 1 && !lines[1].isEmpty ? String(decoding: lines[1], as: UTF8.self) : nil
    let body = lines.count > 2 ? Array(lines[2]) : []
    guard let request = try read(type, authorization, body) else { return }
    let grant = request.query
    for case let text? in [grant.audience, grant.scope, grant.organization, request.credentials?.clientID] {
      try promise("'\(text)' is a text", Audience.problem(with: text) == nil)
    }

    var parameters = [
      FormParameter("grant_type", "client_credentials"), FormParameter("audience", grant.audience),
      FormParameter("scope", grant.scope), FormParameter("organization", grant.organization),
    ]
    parameters += request.others.map { FormParameter($0.name, $0.value) }
    let pair = request.credentials?.readings.last
    var basic: String?
    if let pair, let secret = pair.secret, request.credentials?.authorization != nil {
      basic = BasicCredentials.value(clientID: pair.clientID, secret: secret, .raw).text
    } else {
      parameters.append(FormParameter("client_id", pair?.clientID))
      parameters += pair?.secret.map { [FormParameter("client_secret", $0)] } ?? []
    }
    let form = FormEncoding.body(parameters)
    let again = try read("application/x-www-form-urlencoded", basic, Array(form.text.utf8))
    try promise("it is the same as a form: \(grant)", again.map { $0.isSame(as: request) } ?? false)
    guard basic == nil else { return }
    let members =
      [
        ("grant_type", "client_credentials"), ("resource", grant.audience), ("scope", grant.scope),
        ("organization", grant.organization), ("client_id", pair?.clientID), ("client_secret", pair?.secret?.text),
      ] + request.others.map { ($0.name, $0.value) }
    let texts = members.compactMap { name, value in value.map { (name: name, value: JSONText.string($0)) } }
    let object = try read("application/json; charset=utf-8", nil, JSONText.object(texts))
    try promise("and as JSON: \(grant)", object.map { $0.isSame(as: request) } ?? false)
  }

  private static func read(_ type: String, _ authorization: String?, _ body: [UInt8]) throws -> GrantRequest? {
    do throws(Problem) {
      return try GrantRequest(contentType: type, authorization: authorization, body: body)
    } catch {
      try promise("it is the caller's mistake", [400, 401].contains(error.error.status))
      return nil
    }
  }
}

extension GrantRequest {
  fileprivate func isSame(as other: GrantRequest) -> Bool {
    texts.elementsEqual(other.texts) { $0.utf8.elementsEqual($1.utf8) }
      && secrets.elementsEqual(other.secrets, by: ==)
      && (credentials?.authorization == nil) == (other.credentials?.authorization == nil)
  }

  private var texts: [String] {
    [query.audience, query.scope, query.organization].map { $0 ?? "" } + others.flatMap { [$0.name, $0.value] }
      + (credentials?.readings.map(\.clientID) ?? [])
  }

  private var secrets: [Secret?] { credentials?.readings.map(\.secret) ?? [] }
}

extension Secret {
  fileprivate var text: String { withBytes { $0.text(at: 0..<$0.count) } }
}
