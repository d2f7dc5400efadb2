import Basics
import Foundation

extension FuzzTarget {
  /// A JSON object, from a tenant, from a caller or in a token, beside another reader of JSON.
  static let json = FuzzTarget(name: "json") { bytes in
    guard let object = try? JSONObject(bytes) else { return }
    for name in object.names {
      // Whatever it is, it is read, or is of another type.
      _ = try? object.text(name)
      _ = try? object.number(name)
      _ = try? object.texts(name)
    }
    guard let fields = try? JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any] else { return }
    try promise("the names are \(fields.keys)", Set(object.names) == Set(fields.keys))
    for (name, value) in fields {
      if let text = value as? String {
        try promise("\(name) is \(text)", (try? object.text(name)).map { Array($0.utf8) } == Array(text.utf8))
        try promise("\(name) is no number", (try? object.number(name)) == nil)
      } else if let texts = value as? [String], !texts.isEmpty {
        try promise("\(name) is \(texts)", (try? object.texts(name)) == texts)
      } else {
        try promise("\(name) is no text", (try? object.text(name)) == nil)
      }
    }
  }
}
