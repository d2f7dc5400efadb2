import Basics
import Testing

@testable import HTTPServer

@Suite struct HTTP1StateMachineTests {
  @Test("100 Continue is asked for only while the body has not begun to arrive")
  func expectContinue() {
    let now = Instant.now
    let head = Array("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n".utf8)
    var parser = RequestParser()
    var connection = HTTP1StateMachine(limits: ConnectionLimits(Limits()), now: now)
    var bytes = head
    var span = bytes.mutableSpan
    #expect(connection.step(&span, parser: &parser, now: now) == .sendContinue)
    span = bytes.mutableSpan
    #expect(connection.step(&span, parser: &parser, now: now) == .wait)

    connection = HTTP1StateMachine(limits: ConnectionLimits(Limits()), now: now)
    bytes = head + Array("a".utf8)
    span = bytes.mutableSpan
    #expect(connection.step(&span, parser: &parser, now: now) == .request(consumed: bytes.count))
  }

  @Test("An empty line before a request is no part of it, and buys no more time for the header than any first byte")
  func emptyLine() {
    let start = Instant.now
    let limits = Limits()
    var parser = RequestParser()
    var connection = HTTP1StateMachine(limits: ConnectionLimits(limits), now: start)
    func step(_ text: String, _ now: Instant) -> HTTP1StateMachine.Step {
      var bytes = Array(text.utf8)
      var span = bytes.mutableSpan
      return connection.step(&span, parser: &parser, now: now)
    }
    let later = start.advanced(by: .seconds(1))
    #expect(step("\r\n", later) == .skipLine)
    #expect(connection.deadline == start.advanced(by: limits.headTimeout))
    let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    #expect(step(request, later) == .request(consumed: request.utf8.count))
    connection.answered(keepAlive: true, now: later)
    #expect(step("\r", later) == .wait)
    #expect(connection.deadline == later.advanced(by: limits.headTimeout))
    #expect(step("\r\n", later) == .skipLine)
    #expect(connection.deadline == later.advanced(by: limits.idleTimeout) && connection.timeoutRejection == nil)
    #expect(step("G", later) == .wait)
    #expect(connection.deadline == later.advanced(by: limits.headTimeout))
  }

  @Test("A trickle of bytes does not move a deadline")
  func deadlines() {
    let start = Instant.now
    let limits = Limits()
    var parser = RequestParser()
    var connection = HTTP1StateMachine(limits: ConnectionLimits(limits), now: start)
    #expect(connection.deadline == start.advanced(by: limits.headTimeout))

    var bytes = Array("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na".utf8)
    let headLength = bytes.count - 1
    let first = start.advanced(by: .seconds(1))
    for count in 1..<headLength {
      var piece = Array(bytes[..<count])
      var span = piece.mutableSpan
      _ = connection.step(&span, parser: &parser, now: first.advanced(by: .milliseconds(count)))
    }
    #expect(connection.deadline == start.advanced(by: limits.headTimeout))

    let whole = start.advanced(by: .seconds(5))
    for later in [whole, whole.advanced(by: .seconds(3))] {
      var span = bytes.mutableSpan
      #expect(connection.step(&span, parser: &parser, now: later) == .wait)
    }
    #expect(connection.deadline == whole.advanced(by: limits.bodyTimeout))
    #expect(connection.timeoutRejection?.status == 408)

    bytes += Array("b".utf8)
    let asked = start.advanced(by: .seconds(9))
    var span = bytes.mutableSpan
    #expect(connection.step(&span, parser: &parser, now: asked) == .request(consumed: bytes.count))
    #expect(connection.deadline == asked.advanced(by: limits.requestTimeout))
    #expect(connection.timeoutRejection?.status == 504)

    connection.answered(keepAlive: true, now: asked)
    #expect(connection.deadline == asked.advanced(by: limits.idleTimeout))
    #expect(connection.timeoutRejection == nil)
  }
}
