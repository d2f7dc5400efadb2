import HTTPServer
import OAuth
import BrokerCore

extension RequestIdentity {
  /// Of the request at hand. Reads its `traceparent`, so not to be made for a request that no line is written of. Several
  /// such fields count as none.
  init(_ head: borrowing RequestHead, _ bytes: Span<UInt8>, id: String) {
    let field = head.isRepeated("traceparent", in: bytes) ? nil : head.value(of: "traceparent", in: bytes)
    self.init(id: id, trace: field.flatMap { TraceContext(traceparent: bytes.text(at: $0)) })
  }
}
