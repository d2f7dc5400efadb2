import Basics
import HTTPServer
import Telemetry

/// An answer that is given later, from any thread, and what is counted and logged of the request then.
struct DeferredAnswer: Sendable {
  let response: DeferredResponse
  let endpoint: Endpoint
  let started: Instant
  let metrics: LoopMetrics
  let line: AccessLine?

  func send(_ answer: Response) {
    response.send(answer)
    let took = started.duration(to: .now)
    metrics.answered(endpoint.rawValue, status: answer.status, took: took)
    line?.write(status: answer.status, took: took)
  }

  func send(_ problem: Problem) { send(problem.response(endpoint.errors, requestID: response.requestID)) }
}
