import HTTPServer

extension RequestGuards {
  /// Why the request must not be served; nil where nothing speaks against it.
  ///
  /// `isForwarded`: a proxy asks on behalf of a request that may well come from a browser or another proxy.
  func objection(to head: borrowing RequestHead, _ bytes: Span<UInt8>, isForwarded: Bool) -> String? {
    if !isForwarded {
      if head.value(of: "origin", in: bytes) != nil { return "requests of web pages (Origin) are not served" }
      if let site = head.value(of: "sec-fetch-site", in: bytes), !bytes.matches("none", at: site),
        !bytes.matches("same-origin", at: site)
      {
        return "requests of web pages (Sec-Fetch-Site) are not served"
      }
    }
    if let allowedHosts {
      guard let host = head.text(of: "host", in: bytes), allowedHosts.contains(host.lowercased()) else {
        return "the Host is none of those this broker answers to"
      }
    }
    if let requiredField {
      guard head.text(of: requiredField.name, in: bytes) == requiredField.value else {
        return "the field \(requiredField.name) is required, with the value that the broker's configuration names"
      }
      if !isForwarded, head.value(of: "x-forwarded-for", in: bytes) != nil {
        return "forwarded requests (X-Forwarded-For) are not served"
      }
    }
    return nil
  }
}
