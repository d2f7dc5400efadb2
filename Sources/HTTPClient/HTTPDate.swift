import CCurl

/// The dates of HTTP header fields (RFC 9110 §5.6.7), in every form that servers still send.
package enum HTTPDate {
  /// Unix time in seconds; nil for what libcurl does not read as a date.
  package static func seconds(_ text: String) -> Int? {
    let seconds = unsafe curl_getdate(text, nil)
    return seconds < 0 ? nil : seconds
  }
}
