import HTTPServer

/// What a request must look like, whoever sends it: against requests that a browser or another server was tricked into
/// sending.
package struct RequestGuards: Sendable {
  /// The only hosts that requests may name, lower case, with their port where they have one; nil: any.
  package var allowedHosts: Set<String>?
  /// A field that must be there.
  package var requiredField: (name: String, value: String)?

  package init(allowedHosts: Set<String>? = nil, requiredField: (name: String, value: String)? = nil) {
    self.allowedHosts = allowedHosts
    self.requiredField = requiredField
  }

  /// Why the request must not be served; nil where nothing speaks against it.
  ///
  /// `isForwarded`: a proxy asks on behalf of a request that may well come from a browser or another proxy.
  func objection(to request: Request, isForwarded: Bool = false) -> String? {
    if !isForwarded {
      if request.value(of: "origin") != nil { return "requests of web pages (Origin) are not served" }
      if let site = request.value(of: "sec-fetch-site"), !request.matches("none", at: site),
        !request.matches("same-origin", at: site)
      {
        return "requests of web pages (Sec-Fetch-Site) are not served"
      }
    }
    if let allowedHosts {
      guard let host = request.text(of: "host"), allowedHosts.contains(host.lowercased()) else {
        return "the Host is none of those this broker answers to"
      }
    }
    if let requiredField {
      guard request.text(of: requiredField.name) == requiredField.value else {
        return "the field \(requiredField.name) is required, with the value that the broker's configuration names"
      }
      if !isForwarded, request.value(of: "x-forwarded-for") != nil {
        return "forwarded requests (X-Forwarded-For) are not served"
      }
    }
    return nil
  }

  /// The host that the request names, where no other is served, so that it can be relied on; else nil.
  func believedHost(of request: Request) -> String? { allowedHosts == nil ? nil : request.text(of: "host") }
}
