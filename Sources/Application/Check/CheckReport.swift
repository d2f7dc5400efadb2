import Basics
package import Settings
import Telemetry

/// What `token-broker check` has to say, for people and for programs.
package struct CheckReport {
  package var settings: [EffectiveSetting] = []
  package var findings: [Finding] = []

  package init() {}

  /// The worst of it: `ok`, `warning` or `failed`.
  package var verdict: Finding.Verdict {
    let verdicts = Set(findings.map(\.verdict))
    return verdicts.contains(.failed) ? .failed : verdicts.contains(.warning) ? .warning : .ok
  }

  // MARK: For people

  /// The verdict, and how many findings there are of each kind, in one line.
  package var summary: String {
    let counts = [Finding.Verdict.failed, .warning, .ok, .skipped].compactMap { verdict in
      let count = findings.count { $0.verdict == verdict }
      return count == 0 ? nil : "\(count) \(verdict.rawValue)\(verdict == .warning && count > 1 ? "s" : "")"
    }
    return "check: \(verdict.rawValue) (\(counts.joined(separator: ", ")))"
  }

  /// All of it: the verdict, what was found, and the settings where they are wanted.
  package func text(withSettings: Bool) -> String {
    var lines = [summary, ""]
    for (index, finding) in findings.enumerated() {
      lines += Self.lines(finding, after: index > 0 ? findings[index - 1] : nil)
    }
    if withSettings { lines += [""] + settings.map(Self.line) }
    return lines.map { $0 + "\n" }.joined()
  }

  private static func line(_ setting: EffectiveSetting) -> String {
    "\(setting.key) = \(setting.value)  (\(setting.source))"
  }

  /// A line, and one more below it where there is something to do. A client's findings stand under its name; `last` is
  /// the finding before.
  private static func lines(_ finding: Finding, after last: Finding?) -> [String] {
    func padded(_ text: String, _ width: Int) -> String {
      text + String(repeating: " ", count: max(0, width - text.utf8.count))
    }
    let head = "\(padded(finding.verdict.rawValue, 8))\(padded(finding.check.rawValue, 15))"
    let source = finding.source.map { " (\($0))" } ?? ""
    let target = finding.target.map { "\($0)\(source): " } ?? ""
    let line = "\(head)\(target)\(finding.message)"
    let heading = finding.client.map { last?.client == $0 ? [] : ["", "client \($0)"] } ?? []
    return heading + [line] + (finding.remedy.map { [padded("", head.utf8.count) + $0] } ?? [])
  }

  // MARK: For programs

  /// One JSON object, on one line.
  package var json: String {
    let object = JSONText.object([
      ("status", JSONText.string(verdict.rawValue)), ("version", JSONText.string(Version.current)),
      ("settings", JSONText.array(settings.map(Self.json))), ("checks", JSONText.array(findings.map(Self.json))),
    ])
    return String(decoding: object, as: UTF8.self) + "\n"
  }

  private static func json(_ setting: EffectiveSetting) -> [UInt8] {
    JSONText.object([
      ("key", JSONText.string(setting.key)), ("value", JSONText.string(setting.value)),
      ("source", JSONText.string(setting.source)), ("effect", JSONText.string(setting.effect.rawValue)),
    ])
  }

  private static func json(_ finding: Finding) -> [UInt8] {
    let words = [
      ("check", finding.check.rawValue), ("status", finding.verdict.rawValue), ("client", finding.client),
      ("target", finding.target), ("source", finding.source), ("message", finding.message), ("remedy", finding.remedy),
    ]
    return JSONText.object(words.compactMap { name, text in text.map { (name, JSONText.string($0)) } } + finding.facts)
  }
}
