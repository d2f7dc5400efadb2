import BrokerCore
import HTTPServer
import OAuth

extension RequestIdentity {
  /// The identity of the request at hand. Reads its `traceparent`, so not to be made for a request that no line is
  /// written of. Several such fields count as none.
  init(_ request: Request) {
    let field = request.isRepeated("traceparent") ? nil : request.value(of: "traceparent")
    self.init(id: request.id, trace: field.flatMap { TraceContext(traceparent: request.text(at: $0)) })
  }
}
