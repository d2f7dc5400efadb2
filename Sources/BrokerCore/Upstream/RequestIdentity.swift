package import OAuth

/// What log lines call a request by: its id, and its place in a trace, where its sender has told one.
package struct RequestIdentity: Sendable {
  package let id: String
  package let trace: TraceContext?

  package init(id: String, trace: TraceContext? = nil) {
    self.id = id
    self.trace = trace
  }

  /// As fields of a log line.
  package var facts: [(name: String, value: String)] {
    [("request_id", id)] + (trace.map { [("span_id", $0.spanID), ("trace_id", $0.traceID)] } ?? [])
  }
}
