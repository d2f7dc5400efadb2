/// What is asked of the token endpoint: the part of a request that decides which token comes back.
package struct Grant: Hashable, Sendable {
  /// The identifier of the API the token is for, byte for byte.
  package let audience: String
  /// Space-separated scopes, sorted and each once; nil: all that are granted.
  package let scope: String?
  package let organization: String?

  package init(audience: String, scope: String? = nil, organization: String? = nil) {
    self.audience = audience
    self.scope = scope
    self.organization = organization
  }
}

extension Grant {
  /// By bytes: strings compare equal in Swift if they are canonically equivalent, and audiences are no such texts.
  package static func == (left: Grant, right: Grant) -> Bool {
    left.audience.hasSameBytes(as: right.audience) && left.scope.hasSameBytes(as: right.scope)
      && left.organization.hasSameBytes(as: right.organization)
  }

  package func hash(into hasher: inout Hasher) {
    hasher.combine(bytesOf: audience)
    hasher.combine(bytesOf: scope)
    hasher.combine(bytesOf: organization)
  }
}

extension Hasher {
  fileprivate mutating func combine(bytesOf text: String?) {
    combine(text?.utf8.count)
    guard let text else { return }
    let bytes = text.utf8.span
    unsafe bytes.withUnsafeBytes { unsafe combine(bytes: $0) }
  }
}

extension String {
  func hasSameBytes(as other: String) -> Bool {
    let (left, right) = (utf8.span, other.utf8.span)
    if left.count != right.count { return false }
    for index in left.indices where left[index] != right[index] { return false }
    return true
  }
}

extension String? {
  fileprivate func hasSameBytes(as other: String?) -> Bool {
    switch (self, other) {
    case (nil, nil): true
    case (let left?, let right?): left.hasSameBytes(as: right)
    default: false
    }
  }
}
