import Basics

/// A parameter of a request's body. One without a value is left out.
struct FormParameter {
  enum Value {
    case text(String)
    case secret(Secret)
  }

  let name: String
  let value: Value

  init(_ name: String, _ text: String?) {
    self.name = name
    value = .text(text ?? "")
  }

  init(_ name: String, _ secret: Secret) {
    self.name = name
    value = .secret(secret)
  }

  fileprivate var valueCount: Int {
    switch value {
    case .text(let text): text.utf8.count
    case .secret(let secret): secret.count
    }
  }
}

/// `application/x-www-form-urlencoded` of the strictest kind: only RFC 3986's unreserved characters stay as they are.
enum FormEncoding {
  /// The body, with the secrets among its parameters in no other memory.
  static func body(_ parameters: [FormParameter]) -> Secret {
    let present = parameters.filter { $0.valueCount > 0 }
    // An encoded byte is three at the most.
    let capacity = present.reduce(0) { $0 + 3 * ($1.name.utf8.count + $1.valueCount) + 2 }
    return Secret(capacity: capacity) { writer in
      for parameter in present {
        if writer.count > 0 { writer.append(UInt8(ascii: "&")) }
        append(parameter.name, to: &writer)
        writer.append(UInt8(ascii: "="))
        switch parameter.value {
        case .text(let text): append(text, to: &writer)
        case .secret(let secret): append(secret, to: &writer)
        }
      }
    }
  }

  static func append(_ text: String, to writer: inout Secret.Writer) { append(text.utf8.span, to: &writer) }

  static func append(_ secret: Secret, to writer: inout Secret.Writer) {
    secret.withBytes { append($0, to: &writer) }
  }

  private static func append(_ bytes: Span<UInt8>, to writer: inout Secret.Writer) {
    for index in bytes.indices {
      let byte = bytes[index]
      switch byte {
      case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E: writer.append(byte)
      default:
        writer.append(UInt8(ascii: "%"))
        writer.append(Hex.upperDigit(byte >> 4))
        writer.append(Hex.upperDigit(byte & 15))
      }
    }
  }
}
