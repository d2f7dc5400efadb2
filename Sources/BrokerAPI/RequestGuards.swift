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
}
