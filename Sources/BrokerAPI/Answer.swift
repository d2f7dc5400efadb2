import Basics
import HTTPServer
import Telemetry

/// Where the answer to a request for a token goes, and in which shape its errors are told.
struct Answer {
  let response: ResponseWriter
  private let record: RequestRecord
  private var isOAuth: Bool { record.route == .oauthToken }

  init(_ response: ResponseWriter, _ record: RequestRecord) {
    self.response = response
    self.record = record
  }

  var requestID: String { response.requestID }

  func send(_ problem: Problem) {
    if isOAuth { response.send(problem.oauthResponse()) } else { response.send(problem) }
  }

  /// For an answer that comes later, from anywhere.
  func later() -> LaterAnswer? {
    response.later().map { LaterAnswer(exchange: $0, record: record) }
  }
}

/// The same, once the loop has gone on.
struct LaterAnswer: Sendable {
  fileprivate let exchange: DeferredResponse
  fileprivate let record: RequestRecord

  var requestID: String { exchange.requestID }

  func send(_ response: Response) {
    exchange.send(response)
    record.answered(response.status, now: .now)
  }

  func send(_ problem: Problem) {
    send(record.route == .oauthToken ? problem.oauthResponse() : problem.response(requestID: exchange.requestID))
  }
}

/// What is counted and logged of a request once it is answered.
struct RequestRecord: Sendable {
  let route: Route
  let started: Instant
  let metrics: LoopMetrics
  let line: AccessLine?

  func answered(_ status: Int, now: Instant) {
    metrics.answered(route, status: status, took: started.duration(to: now))
    line?.write(status: status)
  }
}
