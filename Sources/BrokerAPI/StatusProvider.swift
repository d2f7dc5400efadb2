package import HTTPServer

/// Answers `/status` and `/status.json`.
package protocol StatusProvider: Sendable {
  /// The page for people.
  var page: Response { get }

  /// What the page shows, for programs.
  func report() async -> Response
}
