/// A response's fields as HTTP/2 has them: lower-case names, and none that are about a connection (RFC 9113 §8.2).
struct HTTP2Head: Sendable {
  struct Field: Sendable {
    let name: Range<Int>
    let value: Range<Int>
    /// Kept out of compression tables, here and in every proxy (RFC 7541 §7.1.3).
    let isSecret: Bool
  }

  let text: [UInt8]
  /// `:status` first.
  let fields: [Field]

  private static let ofConnections: Set = [
    "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade",
  ]
  private static let secrets: Set = ["authorization", "set-cookie"]

  init(_ status: Int, _ fields: [(name: String, value: String)]) {
    var text: [UInt8] = []
    var ranges: [Field] = []
    for (name, value) in [(":status", String(status))] + fields.map({ ($0.name.lowercased(), $0.value) })
    where !Self.ofConnections.contains(name) {
      let start = text.count
      text += Array(name.utf8)
      let middle = text.count
      text += Array(value.utf8)
      ranges.append(Field(name: start..<middle, value: middle..<text.count, isSecret: Self.secrets.contains(name)))
    }
    self.text = text
    self.fields = ranges
  }
}
