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

  /// The request's body (RFC 6749 §4.4.2), with the client's credentials in it (§2.3.1).
  func body(clientID: String, secret: Secret) -> Secret {
    let parameters = [
      ("grant_type", "client_credentials"), ("client_id", clientID), ("audience", audience), ("scope", scope ?? ""),
      ("organization", organization ?? ""),
    ].filter { !$0.1.isEmpty }
    let plain = parameters.map { "\($0)=\(FormEncoding.encode($1.utf8))&" }.joined() + "client_secret="
    // An encoded byte is three at the most.
    return Secret(capacity: plain.utf8.count + 3 * secret.count) { writer in
      writer.append(plain.utf8)
      secret.withBytes { bytes in
        for index in 0..<bytes.count { FormEncoding.append(bytes[index]) { writer.append(CollectionOfOne($0)) } }
      }
    }
  }
}

extension Grant {
  /// By bytes: strings compare equal in Swift if they are canonically equivalent, and audiences are no such texts.
  package static func == (left: Grant, right: Grant) -> Bool {
    left.audience.hasSameBytes(as: right.audience) && left.scope.hasSameBytes(as: right.scope)
      && left.organization.hasSameBytes(as: right.organization)
  }
}

extension String {
  func hasSameBytes(as other: String) -> Bool { utf8.elementsEqual(other.utf8) }
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

/// `application/x-www-form-urlencoded` of the strictest kind: only RFC 3986's unreserved characters stay as they are.
enum FormEncoding {
  static func encode(_ bytes: some Sequence<UInt8>) -> String {
    var encoded: [UInt8] = []
    for byte in bytes { append(byte) { encoded.append($0) } }
    return String(decoding: encoded, as: UTF8.self)
  }

  static func append(_ byte: UInt8, _ emit: (UInt8) -> Void) {
    switch byte {
    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E:
      emit(byte)
    default:
      emit(UInt8(ascii: "%"))
      emit(hexDigit(byte >> 4))
      emit(hexDigit(byte & 15))
    }
  }

  private static func hexDigit(_ value: UInt8) -> UInt8 { value < 10 ? 0x30 + value : 0x37 + value }
}
