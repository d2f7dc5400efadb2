import HTTPServer

/// Where the answer to a request for a token goes, and in which shape its errors are told.
struct Answer {
  let response: ResponseWriter
  private let line: AccessLine?
  private let isOAuth: Bool

  init(_ response: ResponseWriter, _ line: AccessLine?, isOAuth: Bool = false) {
    self.response = response
    self.line = line
    self.isOAuth = isOAuth
  }

  var requestID: String { response.requestID }

  func send(_ problem: Problem) {
    if isOAuth { response.send(problem.oauthResponse()) } else { response.send(problem) }
  }

  /// For an answer that comes later, from anywhere.
  func later() -> LaterAnswer? {
    response.later().map { LaterAnswer(exchange: $0, line: line, isOAuth: isOAuth) }
  }
}

/// The same, once the loop has gone on.
struct LaterAnswer: Sendable {
  fileprivate let exchange: Exchange
  fileprivate let line: AccessLine?
  fileprivate let isOAuth: Bool

  var requestID: String { exchange.requestID }

  func send(_ response: Response) {
    exchange.send(response)
    line?.write(status: response.status)
  }

  func send(_ problem: Problem) {
    send(isOAuth ? problem.oauthResponse() : problem.response(requestID: exchange.requestID))
  }
}
