import Foundation
import Settings
import Testing

/// docs/configuration.md has a table that is made from the settings as they are read.
@Suite struct SettingsListTests {
  private static let page = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("docs/configuration.md")

  private static let words: [Setting.Effect: String] = [
    .live: "at once", .liveOnlyNarrowed: "at once; cannot be given up while the broker runs",
    .nextStart: "at the next start",
  ]

  private static var table: String {
    let rows = Configuration.knownSettings.sorted { $0.key < $1.key }.map { setting in
      "| `\(setting.key)` | \(setting.variable.map { "`\($0)`" } ?? "") | \(words[setting.effect] ?? "") |"
    }
    return (["| in the file | variable | a change counts |", "|---|---|---|"] + rows).joined(separator: "\n")
  }

  /// With WRITE=1 in the environment the page is written instead: `WRITE=1 make test FILTER=SettingsListTests`.
  @Test("The page lists every setting, and when a change of it counts")
  func page() throws {
    var lines = try String(contentsOf: Self.page, encoding: .utf8).split(
      separator: "\n", omittingEmptySubsequences: false)
    let rows = try #require(lines.firstIndex { $0.hasPrefix("| in the file |") })
    let end = lines[rows...].firstIndex { !$0.hasPrefix("|") } ?? lines.endIndex
    if ProcessInfo.processInfo.environment["WRITE"] == "1" {
      lines.replaceSubrange(rows..<end, with: [Self.table[...]])
      try lines.joined(separator: "\n").write(to: Self.page, atomically: true, encoding: .utf8)
    } else {
      #expect(lines[rows..<end].joined(separator: "\n") == Self.table)
    }
  }

  @Test("A setting is looked for in one way only")
  func once() {
    let keys = Configuration.knownSettings.map(\.key)
    #expect(Set(keys).count == keys.count)
  }
}
