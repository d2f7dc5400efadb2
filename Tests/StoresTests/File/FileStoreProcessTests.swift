import BrokerCore
import Foundation
import Glibc
import TestSupport
import Testing

@testable import Stores
@testable import store_writer

/// Several processes with one file, and the death of some.
@Suite(.timeLimit(.minutes(3))) struct FileStoreProcessTests {
  private let place: StorePlace

  init() throws { place = try StorePlace() }

  /// How often a process is killed; more with `KILLS`.
  private static let kills = ProcessInfo.processInfo.environment["KILLS"].flatMap { Int($0) } ?? 40

  /// Where in a write a kill comes is a matter of luck, so there are many.
  @Test("A process that is killed while it writes leaves a sound file, with all that it had saved")
  func kills() async throws {
    var random = SeededGenerator(seed: 8)
    var next = 0
    for round in 0..<Self.kills {
      let child = try ChildProcess(StorePlace.writer, [place.path, "save", "\(next)"])
      let lines = Int.random(in: 1...40, using: &random)
      _ = try await child.wait(for: "\(lines) lines") { $0.output.count { $0 == "\n" } >= lines ? true : nil }
      // No event to wait for: the moment is to be any.
      usleep(.random(in: 0...2000, using: &random))
      child.signal(SIGKILL)
      try await child.end()

      #expect(!child.output.contains("lost"), "\(child.errors)")
      let saved = child.output.split(separator: "\n").last { $0.hasSuffix(" saved") }.flatMap { Int($0.dropLast(6)) }
      next = saved.map { $0 + 1 } ?? next
      try await place.withStore { store in
        for number in max(0, next - Numbered.slots)..<next {
          let found = try await place.number(number, in: store)
          #expect(found >= number && (found - number).isMultiple(of: Numbered.slots), "round \(round): \(number)")
        }
      }
    }
    #expect(try place.names == ["tokens", "tokens.lock"])
    #expect(place.lines.warnings.isEmpty)
    print("\(Self.kills) kills, \(next) values saved")
  }

  @Test("Processes that want the same make it once")
  func oneMint() async throws {
    let children = try (0..<3).map { _ in try ChildProcess(StorePlace.writer, [place.path, "mint", "200"]) }
    var minted: [Substring] = []
    for child in children {
      _ = try await child.wait(for: "end") { $0.output.contains("done") ? true : nil }
      #expect(try await child.end() == 0)
      #expect(!child.errors.contains("cannot be used"))
      minted += child.output.split(separator: "\n").filter { $0.hasSuffix("minted") }
    }
    #expect(minted.count == 200 && Set(minted).count == 200)
    try await place.withStore { store in
      let found = try await store.load((0..<200).map { Sample.name($0) })
      #expect(found.allSatisfy { $0 == [1] })
    }
  }

  @Test("When one process dies, those that have the same file open go on")
  func death() async throws {
    let store = place.open()
    defer { store.close() }
    let child = try ChildProcess(StorePlace.writer, [place.path, "save", "0"])
    _ = try await child.wait(for: "writes") { $0.output.contains("60 saved") ? true : nil }
    try await store.save([Sample.entry(99)], settling: nil)
    child.signal(SIGKILL)
    try await child.end()
    try await store.save([Sample.entry(100)], settling: nil)
    let found = try await store.load([99, 100].map(Sample.name))
    #expect(found == [[1, 2, 3], [1, 2, 3]])
    for number in 45...60 { #expect(try await place.number(number, in: store) >= number) }
    #expect(place.lines.warnings.isEmpty)
  }

  @Test("Processes that find one damaged file put one new one in its place, and share it")
  func damage() async throws {
    try place.write(Array("nonsense".utf8))
    let children = try (0..<3).map { _ in try ChildProcess(StorePlace.writer, [place.path, "mint", "50"]) }
    var minted = 0
    for child in children {
      try await child.end()
      minted += child.output.split(separator: "\n").count { $0.hasSuffix("minted") }
    }
    // Who comes while another puts the new file there is refused, and would come again.
    #expect(minted == 50)
    #expect(try place.setAside.count == 1)
  }
}
