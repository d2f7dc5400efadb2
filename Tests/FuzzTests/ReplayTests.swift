import Foundation
import FuzzTargets
import Testing

/// Plays what is kept of the fuzzers' inputs: seeds, and whatever once broke a promise.
@Suite(.timeLimit(.minutes(5))) struct ReplayTests {
  private static let corpus = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().appendingPathComponent("Fuzz/Corpus")

  @Test("No input in the corpora breaks a promise", arguments: FuzzTarget.all.map(\.name))
  func replay(_ name: String) async throws {
    let directory = Self.corpus.appendingPathComponent(name)
    let files = try FileManager.default.contentsOfDirectory(at: directory, includingPropertiesForKeys: nil)
    let target = try #require(FuzzTarget.all.first { $0.name == name })
    #expect(!files.isEmpty)
    for file in files {
      let bytes = try [UInt8](Data(contentsOf: file))
      await #expect(throws: Never.self, "\(name)/\(file.lastPathComponent)") { try await target.run(bytes) }
    }
  }

  @Test("Every corpus is of a target")
  func corpora() throws {
    let names = try FileManager.default.contentsOfDirectory(atPath: Self.corpus.path)
    #expect(Set(names) == Set(FuzzTarget.all.map(\.name)))
  }
}
