import Basics
import BrokerCore
import Foundation
import Synchronization
import TestSupport
import Testing

@testable import Stores

/// Clusters that tell what is wrong, or tell it late. All of a cluster's nodes that answer are one server.
@Suite(.serialized, .timeLimit(.minutes(2))) struct RedisClusterFaultTests {
  private static let value = "*1\r\n$1\r\na\r\n"
  private static let nothing = "*0\r\n"

  /// An answer to CLUSTER SLOTS; a node without a host is the server itself.
  private static func slots(_ ranges: (slots: ClosedRange<Int>, nodes: [(host: String, port: Int)])...) -> String {
    "*\(ranges.count)\r\n"
      + ranges.map { slots, nodes in
        "*\(2 + nodes.count)\r\n:\(slots.lowerBound)\r\n:\(slots.upperBound)\r\n"
          + nodes.map { "*2\r\n$\($0.utf8.count)\r\n\($0)\r\n:\($1)\r\n" }.joined()
      }.joined()
  }

  /// A server that answers each CLUSTER SLOTS by its number, from 1; `answer` is called for what is asked of a node.
  private func fake(
    _ asked: Watched<Int> = Watched(0), slots: @escaping @Sendable (Int) -> String,
    answer: @escaping @Sendable ([String], FakeRedis.Peer) -> Void = { $1.send(value) }
  ) throws -> FakeRedis {
    try FakeRedis(connection: { peer in
      while let command = peer.command() {
        switch command[0] {
        case "CLIENT": peer.send("+OK\r\n")
        case "CLUSTER":
          asked.change { $0 += 1 }
          peer.send(slots(asked.value))
        case "PING": peer.send("+PONG\r\n")
        case "SUBSCRIBE": peer.send("*3\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n:1\r\n")
        default: answer(command, peer)
        }
      }
    })
  }

  @Test("A node that tells of no slots does not take from a cluster those that are known")
  func emptyAnswer() async throws {
    let asked = Watched(0)
    let fake = try fake(asked) { $0 == 1 ? Self.slots((0...16382, [("", 1)])) : Self.nothing }
    let store = try RedisStore(fake.settings, log: .silent)
    try await eventually("asked again") { asked.value > 3 }
    #expect(try await store.load([StoreName(1)]) == [Array("a".utf8)])
    #expect(store.condition.problem == nil)
  }

  @Test("A first server that comes back without slots does not end a cluster that has a node")
  func emptySeed() async throws {
    let (asked, isOver) = (Watched(0), Watched(false))
    let fake = try FakeRedis(connection: { peer in
      var number = 0
      while let command = peer.command() {
        switch command[0] {
        case "CLIENT": peer.send("+OK\r\n")
        case "CLUSTER":
          asked.change { $0 += 1 }
          number = asked.value
          peer.send(number == 1 ? Self.slots((0...16383, [("", 1)])) : Self.nothing)
        case "PING":
          peer.send("+PONG\r\n")
          while number == 1, !isOver.value { usleep(1000) }
          if number == 1 { return }
        case "SUBSCRIBE": peer.send("*3\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n:1\r\n")
        default: peer.send(number == 0 ? Self.value : "-ERR no node\r\n")
        }
      }
    })
    var settings = fake.settings
    (settings.timeout, settings.connectTimeout) = (.seconds(20), .seconds(20))
    let store = try RedisStore(settings, log: .silent)
    #expect(try await store.load([StoreName(1)]) == [Array("a".utf8)])
    isOver.change { $0 = true }
    try await eventually("asked again") { asked.value > 1 }
    for _ in 0..<200 { #expect(try await store.load([StoreName(1)]) == [Array("a".utf8)]) }
  }

  @Test("A request that is sent again is answered within the time that it had to begin with")
  func deadline() async throws {
    let count = Watched(0)
    let fake = try fake(slots: { _ in Self.slots((0...16383, [("", 1)])) }) { _, peer in
      count.change { $0 += 1 }
      if count.value > 1 { return }
      usleep(1_600_000)
      peer.send("-TRYAGAIN later\r\n")
    }
    var settings = fake.settings
    (settings.timeout, settings.connectTimeout) = (.seconds(2), .seconds(20))
    let store = try RedisStore(settings, log: .silent)
    let start = Instant.now
    await #expect(throws: StoreError.self) { try await store.load([StoreName(1)]) }
    #expect(start.duration(to: .now) < .seconds(3))
    #expect(count.value == 2)
  }

  @Test("Beyond so many nodes, those that others name are not connected to, and the answer is what they said")
  func members() async throws {
    let port = try RedisServer.freePort()
    // It accepts connections and says nothing.
    let server = try await RedisServer(["--port", "\(port)"])
    server.pause()
    let known = Mutex<[String: Int]>([:])
    let fake = try fake(slots: { _ in Self.slots((0...16383, [("", 1)])) }) { command, peer in
      let number = known.withLock { known in
        let number = known[command.last ?? ""] ?? known.count + 1
        known[command.last ?? ""] = number
        return number
      }
      peer.send("-ASK 1 127.0.0.\(number):\(port)\r\n")
    }
    var settings = fake.settings
    (settings.timeout, settings.connectTimeout) = (.seconds(60), .seconds(60))
    let store = try RedisStore(settings, log: .silent)
    let refused = Watched(0)
    await withTaskGroup(of: Void.self) { group in
      for number in 0..<200 as Range<UInt64> {
        group.addTask {
          do { _ = try await store.load([StoreName(number: number)]) } catch {
            if "\(error)".contains("ASK") { refused.change { $0 += 1 } }
          }
        }
      }
      group.addTask {
        // The first is the node that answers.
        try? await eventually("refused") { refused.value >= 200 - 127 }
        store.close()
      }
    }
    #expect(refused.value == 200 - 127)
    server.resume()
  }

  /// A cluster whose nodes do not agree who is the primary of some slots.
  private func disagreeing(_ asked: Watched<Int>) throws -> (FakeRedis, RedisStore) {
    let fake = try fake(asked) { number in
      let nodes = [("127.0.0.1", 1), ("127.0.0.1", 2)]
      return Self.slots((0...8191, [("", 1)]), (8192...16383, number.isMultiple(of: 2) ? nodes : nodes.reversed()))
    }
    return (fake, try RedisStore(fake.settings, log: .silent))
  }

  @Test("Nodes that disagree without end do not have everything given back each time")
  func disagreement() async throws {
    let (asked, count, start) = (Watched(0), Watched(0), Instant.now)
    let (fake, store) = try disagreeing(asked)
    let counting = Task { for await _ in store.recoveries { count.change { $0 += 1 } } }
    try await eventually("asked") { asked.value > 16 }
    let seconds = Int(start.duration(to: .now).nanoseconds / 1_000_000_000)
    #expect(1...seconds + 2 ~= count.value)
    counting.cancel()
    withExtendedLifetime(fake) {}
  }

  @Test("Who waits for a claim looks again when a primary has changed")
  func waiting() async throws {
    let (fake, store) = try disagreeing(Watched(0))
    try await eventually("listening") { store.availability.isListening }
    let start = Instant.now
    await store.waitForChange(of: StoreName(1), until: start.advanced(by: .seconds(60)))
    #expect(start.duration(to: .now) < .seconds(30))
    withExtendedLifetime(fake) {}
  }
}
