import Basics

/// The one shape of an error: problem details (RFC 9457) with the OAuth members inside.
package struct Problem: Sendable {
  package var status: Int
  /// A fixed word for programs, as in RFC 6749 §5.2.
  package var error: String
  /// A sentence for people.
  package var description: String
  package var audience: String?
  /// Whole seconds after which asking again may help.
  package var retryAfter: Int?
  package var fields: [(name: String, value: String)] = []

  package init(
    _ status: Int, _ error: String, _ description: String, audience: String? = nil, retryAfter: Int? = nil
  ) {
    self.status = status
    self.error = error
    self.description = description
    self.audience = audience
    self.retryAfter = retryAfter
  }

  init(_ rejection: Rejection) {
    self.init(
      rejection.status, rejection.status == 504 ? "upstream_timeout" : "invalid_request", "\(rejection.reason)")
  }

  package func response(requestID: String) -> Response {
    var members: [(name: String, value: [UInt8])] = [
      ("type", JSONText.string("about:blank")),
      ("title", JSONText.string(Response.reason(for: status))),
      ("status", JSONText.number(status)),
      ("error", JSONText.string(error)),
      ("error_description", JSONText.string(description)),
    ]
    if let audience { members.append(("audience", JSONText.string(audience))) }
    members.append(("request_id", JSONText.string(requestID)))
    var fields = [("Content-Type", "application/problem+json"), ("Cache-Control", "no-store")]
    if let retryAfter { fields.append(("Retry-After", String(retryAfter))) }
    return Response(status, fields: fields + self.fields, body: JSONText.object(members))
  }
}
