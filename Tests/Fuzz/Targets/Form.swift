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
    let grant = request.query.grant
    let texts = [grant.audience, grant.scope, grant.organization, request.credentials?.clientID]
    for case let text? in texts { try promise("'\(text)' is a text", Audience.problem(with: text) == nil) }

    let (id, secret) = (request.credentials?.clientID, request.credentials?.secret)
    var parameters = [
      FormParameter("grant_type", "client_credentials"), FormParameter("audience", grant.audience),
      FormParameter("scope", grant.scope), FormParameter("organization", grant.organization),
    ]
    var basic: String?
    if let id, let secret, request.credentials?.isBasic == true {
      basic = BasicCredentials.value(clientID: id, secret: secret).text
    } else {
      parameters += [FormParameter("client_id", id)] + (secret.map { [FormParameter("client_secret", $0)] } ?? [])
    }
    let form = FormEncoding.body(parameters)
    let again = try read("application/x-www-form-urlencoded", basic, Array(form.text.utf8))
    try promise("it is the same as a form: \(grant)", again.map { $0.isSame(as: request) } ?? false)
    guard basic == nil else { return }
    let members = [
      ("grant_type", "client_credentials"), ("resource", grant.audience), ("scope", grant.scope),
      ("organization", grant.organization), ("client_id", id), ("client_secret", secret?.text),
    ].compactMap { name, value in value.map { (name: name, value: JSONText.string($0)) } }
    let object = try read("application/json; charset=utf-8", nil, JSONText.object(members))
    try promise("and as JSON: \(grant)", object.map { $0.isSame(as: request) } ?? false)
  }

  private static func read(_ type: String, _ authorization: String?, _ body: [UInt8]) throws -> GrantRequest? {
    do throws(Problem) {
      return try GrantRequest(contentType: type, authorization: authorization, body: body)
    } catch {
      try promise("it is the caller's mistake", error.error.status == 400)
      return nil
    }
  }
}

extension GrantRequest {
  fileprivate func isSame(as other: GrantRequest) -> Bool {
    let (mine, others) = (credentials, other.credentials)
    return query.grant == other.query.grant && (mine == nil) == (others == nil) && mine?.secret == others?.secret
      && (mine?.clientID ?? "").utf8.elementsEqual((others?.clientID ?? "").utf8) && mine?.isBasic == others?.isBasic
  }
}

extension Secret {
  fileprivate var text: String { withBytes { $0.text(at: 0..<$0.count) } }
}
