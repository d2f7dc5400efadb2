package import OAuth

/// A client as it is now, for those who look after it.
package struct UpstreamStatus: Sendable {
  /// With its pass-through, if it has that.
  package let clients: [UpstreamID]
  package let oauth: OAuthClient
  package let source: SourceStatus
}
