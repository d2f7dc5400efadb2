import Foundation
import Glibc
import Testing
import TestSupport
import BrokerCore

@testable import Stores
@testable import store_writer

@Suite(.timeLimit(.minutes(3))) struct FileStoreCrashTests {
  /// Where in a write a kill comes is a matter of luck, so there are many. Two of five come while the new file is
  /// there. Each needs a process that starts and writes, so the test takes seconds.
  @Test("A store that is killed while it writes leaves a sound file, with all that was on the disk")
  func kills() async throws {
    let place = try StorePlace()
    var random = SeededGenerator(seed: 8)
    var (next, interrupted) = (0, 0)
    for round in 0..<60 {
      let child = try ChildProcess(FileStoreTroubleTests.writer, [place.path, "\(next)"])
      let lines = Int.random(in: 1...6, using: &random)
      _ = try await child.wait(for: "\(lines) lines") { $0.output.count { $0 == "\n" } >= lines ? true : nil }
      // No event to wait for: the moment is to be any.
      usleep(.random(in: 0...2000, using: &random))
      child.signal(SIGKILL)
      try await child.end()
      if try place.names.contains("tokens.new") { interrupted += 1 }

      let durable = child.output.split(separator: "\n").last { $0.hasSuffix(" saved") }.flatMap { Int($0.dropLast(6)) }
      let store = place.open()
      defer { store.close() }
      #expect(try place.names == ["tokens", "tokens.lock"])
      let newest = durable ?? (next > 0 ? next - 1 : nil)
      if let newest {
        for number in max(0, newest - Numbered.slots + 1)...newest {
          let found = try FileStoreTroubleTests.number(number, in: store)
          #expect(found >= number && (found - number).isMultiple(of: Numbered.slots), "round \(round): \(number)")
        }
      }
      next = (newest ?? -1) + 1
    }
    #expect(place.lines.warnings.isEmpty)
    #expect(interrupted > 0, "no kill came while a file was written")
  }
}
