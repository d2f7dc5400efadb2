import BrokerCore
import HTTPServer
import IO
import OAuth

extension RequestIdentity {
  /// The identity of the request at hand. Reads its `traceparent` and asks where it comes from, so not to be made for a
  /// request that no line is written of. Several such fields count as none.
  init(_ request: Request) {
    let field = request.isRepeated("traceparent") ? nil : request.value(of: "traceparent")
    self.init(
      id: request.id, trace: field.flatMap { TraceContext(traceparent: request.text(at: $0)) },
      sender: Sender(peer: request.peerName, place: request.source, certificate: request.certificateNames))
  }
}

extension Request {
  /// What its sender's certificate shows; nil without one.
  var certificateNames: CertificateNames? {
    certificate.map { CertificateNames(uris: $0.uris, dnsNames: $0.dnsNames, subject: $0.subject) }
  }
}
