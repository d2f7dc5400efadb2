import Basics
import Testing

@testable import HTTPClient

@Suite struct ServerQueuesTests {
  private let start = Instant(nanoseconds: 0)
  private func at(_ seconds: Int) -> Instant { start.advanced(by: .seconds(seconds)) }

  private func queues(_ count: Int, to name: String) -> ServerQueues<Int> {
    var queues = ServerQueues<Int>()
    for number in 0..<count { queues.add(number, to: name, deadline: at(number)) }
    return queues
  }

  @Test(
    "As many requests are given out as the server has room for by what it speaks, the oldest first",
    arguments: [
      ("https://a", nil, 4), ("https://a", .http1, 64), ("https://a", .http2, 400), ("http://127.0.0.1", nil, 64),
    ] as [(String, HTTPVersion?, Int)])
  func room(_ name: String, _ version: HTTPVersion?, _ expected: Int) {
    var queues = queues(500, to: name)
    if let version { queues.learn(version, of: name) }
    #expect(queues.admit().map(\.waiting) == Array(0..<expected))
    #expect(queues.admit().isEmpty && !queues.isEmpty)
  }

  @Test("Each request that is finished makes room for one more")
  func finished() {
    var queues = queues(70, to: "http://127.0.0.1")
    _ = queues.admit()
    queues.finished("http://127.0.0.1")
    #expect(queues.admit().map(\.waiting) == [64])
  }

  @Test("What a server speaks makes room for those that have waited")
  func learnt() {
    var queues = queues(10, to: "https://a")
    #expect(queues.admit().count == 4)
    queues.learn(.http1, of: "https://a")
    #expect(queues.admit().map(\.waiting) == Array(4..<10) && queues.isEmpty)
  }

  @Test("A full server holds up no other")
  func servers() {
    var queues = queues(100, to: "https://a")
    queues.add(1000, to: "https://b", deadline: at(1))
    #expect(queues.admit().contains { $0.waiting == 1000 && $0.server == "https://b" })
  }

  @Test("What has waited until its deadline is taken out, and nothing else")
  func expired() {
    var queues = queues(10, to: "https://a")
    _ = queues.admit()
    #expect(queues.expire(now: at(6)) == [4, 5, 6])
    #expect(queues.expire(now: at(6)).isEmpty)
    queues.learn(.http1, of: "https://a")
    #expect(queues.admit().map(\.waiting) == [7, 8, 9])
  }
}
