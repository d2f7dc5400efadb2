@testable import OAuth

extension FuzzTarget {
  /// A `traceparent` field.
  static let trace = FuzzTarget(name: "trace") { bytes in
    let text = String(decoding: bytes, as: UTF8.self)
    let context = TraceContext(traceparent: text)
    try promise("it is read if, and only if, it is well-formed: \(text)", isWellFormed(text) == (context != nil))
    guard let context else { return }
    let field = context.traceparent
    try promise("\(field) is well-formed", field.wholeMatch(of: /00-[0-9a-f]{32}-[0-9a-f]{16}-0[0-3]/) != nil)
    try promise("it is read as written", TraceContext(traceparent: field) == context)
    try promise("it is in what was sent: \(text)", text.contains("-\(context.traceID)-\(context.spanID)-"))
    let child = context.child()
    try promise("a child is of the same trace", child.traceID == context.traceID)
    try promise("and well-formed", TraceContext(traceparent: child.traceparent) == child)
  }

  /// As §3.2 and §4.3 say: neither id is zero, version ff is none, and version 00 has nothing behind its flags.
  private static func isWellFormed(_ text: String) -> Bool {
    let field = /(?!ff|00-.{53})[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?/
    return text.wholeMatch(of: field.dotMatchesNewlines().matchingSemantics(.unicodeScalar)) != nil
  }
}
