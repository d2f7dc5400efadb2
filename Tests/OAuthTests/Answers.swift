import Basics
@testable import HTTPClient
@testable import OAuth

extension HTTPClient.Response {
  /// An answer as a test wants it.
  package init(_ status: Int, _ body: String = "", _ fields: [(name: String, value: String)] = []) {
    let now = Instant.now
    self.init(status: status, fields: fields, body: Array(body.utf8), requestedAt: now, receivedAt: now)
  }
}
