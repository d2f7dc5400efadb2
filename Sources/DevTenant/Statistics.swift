import Basics

/// What the tenant has been asked, so that a test can prove what a behaviour costs.
package struct Statistics: Sendable, Equatable {
  /// Requests to the token endpoint, whatever came of them.
  package internal(set) var tokenRequests = 0
  /// Requests that were given a token, sound or not: what a real tenant would meter.
  package internal(set) var mints = 0
  package internal(set) var mintsByAudience: [String: Int] = [:]
  package internal(set) var keySetRequests = 0
  /// Connections that there have been.
  package internal(set) var connections = 0
  /// What the last request to the token endpoint said (W3C Trace Context).
  package internal(set) var lastTraceparent: String?
  package internal(set) var lastTracestate: String?
  /// Requests to where only a followed redirect leads.
  package internal(set) var redirectsFollowed = 0

  var json: [UInt8] {
    let audiences = mintsByAudience.sorted { $0.key < $1.key }
    return JSONText.object([
      ("token_requests", JSONText.number(tokenRequests)), ("mints", JSONText.number(mints)),
      ("mints_by_audience", JSONText.object(audiences.map { ($0.key, JSONText.number($0.value)) })),
      ("key_set_requests", JSONText.number(keySetRequests)),
      ("connections", JSONText.number(connections)),
      ("redirects_followed", JSONText.number(redirectsFollowed)),
    ])
  }
}
