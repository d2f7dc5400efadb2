import Basics

/// How a server wants a grant put into parameters, where RFC 6749 leaves it open.
package struct Dialect: Sendable {
  /// The parameter that names the API.
  package enum AudienceParameter: String, Sendable, CaseIterable {
    /// Auth0's, and that of many others.
    case audience
    /// RFC 8707 §2.
    case resource
    /// For servers that know the API by its scopes.
    case none
  }

  package let audienceParameter: AudienceParameter
  let scopeTemplate: String?
  let extraParameters: [(name: String, value: String)]

  /// Auth0's dialect.
  package static let standard = Dialect()

  private init() { (audienceParameter, scopeTemplate, extraParameters) = (.audience, nil, []) }

  /// `scopeTemplate` is the scope of a grant that has none of its own, with `{audience}` in it replaced. Extra
  /// parameters are sent as they are, in this order. Throws for one that the client sets itself.
  package init(
    audienceParameter: AudienceParameter = .audience, scopeTemplate: String? = nil,
    extraParameters: [(name: String, value: String)] = []
  ) throws(InvalidSetting) {
    var reserved: Set<String> = [
      "grant_type", "client_id", "client_secret", "client_assertion", "client_assertion_type", "scope", "organization",
    ]
    if audienceParameter != .none { reserved.insert(audienceParameter.rawValue) }
    for (name, _) in extraParameters {
      if name.isEmpty { throw InvalidSetting("extraParameters", "a parameter has no name") }
      if reserved.contains(name) {
        throw InvalidSetting("extraParameters", "'\(name)' is set by the broker itself, and cannot be set here")
      }
    }
    self.audienceParameter = audienceParameter
    self.scopeTemplate = scopeTemplate
    self.extraParameters = extraParameters
  }

  /// The grant's part of a request's body (RFC 6749 §4.4.2), with what a request brings in place of the client's own.
  func parameters(_ grant: Grant, and brought: [(name: String, value: Secret)] = []) -> [FormParameter] {
    var parameters = [FormParameter("grant_type", "client_credentials")]
    if audienceParameter != .none { parameters.append(FormParameter(audienceParameter.rawValue, grant.audience)) }
    parameters.append(
      FormParameter("scope", grant.scope ?? scopeTemplate?.replacing("{audience}", with: grant.audience)))
    parameters.append(FormParameter("organization", grant.organization))
    let usual = extraParameters.filter { extra in !brought.contains { $0.name == extra.name } }
    return parameters + usual.map { FormParameter($0.name, $0.value) }
      + brought.map { FormParameter($0.name, $0.value) }
  }
}

/// A setting of a client that cannot be used: its name as in the configuration, and why.
package struct InvalidSetting: Error, Equatable, CustomStringConvertible {
  package let setting: String
  package let reason: String
  package var description: String { "\(setting): \(reason)" }

  package init(_ setting: String, _ reason: String) {
    self.setting = setting
    self.reason = reason
  }
}
