import Foundation
import Glibc
import Testing
import TestSupport
import BrokerCore

@testable import Stores
@testable import store_writer

@Suite(.timeLimit(.minutes(3))) struct FileStoreCrashTests {
  @Test("Killed 200 times while it writes, the store never reads a broken file and loses nothing that was on the disk")
  func kills() async throws {
    let place = try StorePlace()
    var random = SeededGenerator(seed: 8)
    var (next, interrupted) = (0, 0)
    for round in 0..<200 {
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
