import DevTenant
import Dispatch
import Foundation
import Synchronization
import TestSupport
import Testing

extension LoadTests {
  /// Attacks by HTTP/2 on the real binary, and what others notice of them.
  @Suite struct HTTP2AttackTests {
    /// KiB that all attackers may make a debug build hold at once.
    private static let memory = 8 * 1024 * Sanitizer.memoryFactor

    @Test(
      "An attack ends its own connections, costs little memory, and slows others to a third at the most",
      arguments: HTTP2Attack.all)
    func attack(_ attack: HTTP2Attack) async throws {
      try await withTenant { tenant in
        let broker = try await tenant.broker(configuration: "limits: {writeTimeout: 1s}\n")
        #expect(try await broker.token(API.path).status == 200)
        let calm = try await Self.slowest(broker.port)
        let before = broker.residentKiB
        let attackers = (0..<2).map { _ in Attacker(attack, port: broker.port) }
        defer { for attacker in attackers { attacker.stop() } }
        // Other tests and the attackers themselves take their share of the cores now and then. A stall comes each time.
        let bound = max(calm, .milliseconds(30)) * 3
        var attacked = [Duration]()
        repeat {
          try await attacked.append(Self.slowest(broker.port))
        } while attacked[attacked.count - 1] > bound && attacked.count < 5
        #expect(attacked[attacked.count - 1] <= bound, "calm \(calm), attacked \(attacked)")
        for attacker in attackers {
          attacker.stop()
          let (ended, lasting) = await attacker.result
          #expect(ended > 0 && lasting == 0, "\(ended) connections were ended, \(lasting) were not")
        }
        #expect(broker.residentKiB - before < Self.memory, "\(broker.residentKiB - before) KiB")
      }
    }

    /// The 99th percentile of what a caller waits who asks a hundred times, every four milliseconds. A request that was
    /// due while the one before still waited has waited since then. It has a thread of its own: others are busy.
    private static func slowest(_ port: UInt16) async throws -> Duration {
      let times: [Duration] = try await withCheckedThrowingContinuation { continuation in
        DispatchQueue(label: "caller").async {
          continuation.resume(with: Result { try waits(port) })
        }
      }
      return times.sorted()[times.count * 99 / 100 - 1]
    }

    private static func waits(_ port: UInt16) throws -> [Duration] {
      let client = try RawClient(port: port)
      let start = ContinuousClock.now
      return try (0..<100).map { index in
        let due = start.advanced(by: .milliseconds(4 * index))
        // The rate, not a wait for something.
        while ContinuousClock.now < due { usleep(500) }
        let answer = client.exchange(API.request())
        guard answer.hasPrefix("HTTP/1.1 200 ") else { throw ChildProcess.Failure(description: answer) }
        return due.duration(to: .now)
      }
    }
  }
}

/// Plays an attack on one connection after the other until it is stopped.
private final class Attacker: Sendable {
  private let isStopped = Atomic(false)
  private let (results, continuation) = AsyncStream<(ended: Int, lasting: Int)>.makeStream()

  init(_ attack: HTTP2Attack, port: UInt16) {
    DispatchQueue(label: "attacker").async { [self] in
      var (ended, lasting) = (0, 0)
      repeat {
        guard let client = try? RawClient(port: port) else { continue }
        // One good request, so that it is not for silence that the server hangs up. Where it has, sending fails.
        let greeting = HTTP2Frame.greeting + HTTP2Frame.settings(isAck: true).bytes + HTTP2Frame.get(1).bytes
        var isConnected = (try? client.send(greeting)) != nil
        for index in 1...attack.times where isConnected {
          isConnected = (try? client.send(attack.frames(2 * index + 1).flatMap(\.bytes))) != nil
        }
        if client.waitForEnd() { ended += 1 } else { lasting += 1 }
      } while !isStopped.load(ordering: .relaxed)
      continuation.yield((ended, lasting))
    }
  }

  func stop() { isStopped.store(true, ordering: .relaxed) }

  /// How many connections the server has ended, and how many it has not within ten seconds.
  var result: (ended: Int, lasting: Int) {
    get async {
      for await result in results { return result }
      return (0, 0)
    }
  }
}
