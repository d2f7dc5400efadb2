import Basics

/// A mapping of the configuration file, read key by key. What nobody has read by the end is unknown, and an error.
final class Section {
  private let reader: SettingsReader
  /// With a dot at its end; empty for the outermost.
  private let path: String
  /// The same with `*` for names that the file chooses.
  private let pattern: String
  /// When changes of what is in it count, where a setting does not say otherwise.
  private let effect: Setting.Effect
  /// Where it stands; nil if it is not in the file.
  let mark: YAMLNode.Mark?
  private let members: [YAMLNode.Member]
  private var known: [String] = []
  /// Where a setting says so itself.
  private var effects: [String: Setting.Effect] = [:]

  private init(
    _ path: String, _ pattern: String, _ effect: Setting.Effect, _ node: YAMLNode?, in reader: SettingsReader
  ) {
    self.reader = reader
    self.path = path
    self.pattern = pattern
    self.effect = effect
    mark = node?.mark
    guard let node, !node.isNull else {
      members = []
      return
    }
    guard case .mapping(let members) = node.content else {
      self.members = []
      let name = path.isEmpty ? "configuration" : String(path.dropLast())
      reader.fail(name, at: node.mark, "expected keys with values (key: value)")
      return
    }
    self.members = members
  }

  /// Lets `body` read the mapping, and then says which of its keys are unknown or there twice.
  fileprivate static func read<Result>(
    _ path: String, _ pattern: String, _ effect: Setting.Effect, _ node: YAMLNode?, in reader: SettingsReader,
    _ body: (Section) -> Result
  ) -> Result {
    let section = Section(path, pattern, effect, node, in: reader)
    defer { section.finish() }
    return body(section)
  }

  private func finish() {
    var seen: [String: YAMLNode.Mark] = [:]
    for member in members {
      if !known.contains(member.key) {
        failUnknown(member)
      } else if let first = seen[member.key] {
        reader.fail(path + member.key, at: member.mark, "it stands there twice; first at \(first)")
      }
      seen[member.key] = member.mark
    }
  }

  /// Shown is only what is nearly a known key: what was taken for one may be anything, a secret too.
  private func failUnknown(_ member: YAMLNode.Member) {
    let key = String(member.key.prefix { $0.isASCII && ($0.isLetter || $0.isNumber || "_-".contains($0)) })
    if known.contains(key), member.key.dropFirst(key.count).first == ":" {
      return reader.fail(path + key, at: member.mark, "no such key; expected a space behind its colon")
    }
    let word = key.lowercased().filter { $0 != "_" && $0 != "-" }
    let names = Dictionary(known.map { ($0.lowercased(), $0) }) { first, _ in first }
    let near = EditDistance.nearest(to: word, among: names.keys) { max(1, $0.count / 3) }
    guard let near, let name = names[near] else {
      let place = path.isEmpty ? "configuration" : String(path.dropLast())
      return reader.fail(place, at: member.mark, "no such key; known here: \(known.sorted().joined(separator: ", "))")
    }
    let capitals = near == key.lowercased() ? " Capitals count." : ""
    reader.fail(path + key, at: member.mark, "no such key; did you mean '\(name)'?\(capitals)")
  }

  private func member(_ key: String) -> YAMLNode? {
    if !known.contains(key) { known.append(key) }
    return members.first { $0.key == key }?.value
  }

  /// Takes note of a setting that is looked for, and of when its changes count.
  private func declare(_ key: String, _ variable: String?, _ effect: Setting.Effect?) {
    if let effect { effects[key] = effect }
    reader.know(Setting(key: pattern + key, variable: variable, effect: effect ?? self.effect))
  }

  /// Takes these keys for known, whoever reads them, each with the variable that stands for it.
  func know(_ keys: [String], variables: [String: String] = [:]) {
    for key in keys {
      declare(key, variables[key], nil)
      _ = member(key)
    }
  }

  /// Takes all of it for known.
  func ignore() { for member in members { _ = self.member(member.key) } }

  /// A setting in force that cannot be given up while the process runs.
  func restrict(_ key: String) { reader.restrict(path + key) }

  // MARK: What it holds

  /// Whether the key, or a variable that stands for it, is set.
  func has(_ key: String, environment variable: String? = nil) -> Bool {
    variable.flatMap { reader.environment[$0] } != nil || member(key) != nil
  }

  /// Whether the environment sets it, which then beats the file.
  func isFromEnvironment(_ variable: String?) -> Bool { variable.flatMap { reader.environment[$0] } != nil }

  func fail(_ key: String, environment variable: String? = nil, _ expectation: String) {
    if let variable, isFromEnvironment(variable) { return reader.fail(variable, expectation) }
    let name = path + key
    if let mark = member(key)?.mark ?? mark { return reader.fail(name, at: mark, expectation) }
    reader.fail(name, variable: variable, expectation)
  }

  /// The setting's value; nil if it is not set, or not as expected.
  func value<Value>(
    _ key: String, environment variable: String? = nil, _ format: Format<Value>, _ effect: Setting.Effect? = nil
  ) -> Value? {
    declare(key, variable, effect)
    let node = member(key)
    if let variable, let text = reader.environment[variable] { return read(text, format, key, at: nil, variable) }
    return node.flatMap { read($0, format, key) }
  }

  /// The same, with a default written as the setting itself is.
  func value<Value>(
    _ key: String, environment variable: String? = nil, _ format: Format<Value>, standard: String
  ) -> Value? {
    declare(key, variable, nil)
    if has(key, environment: variable) { return value(key, environment: variable, format) }
    return read(standard, format, key, at: nil, "default")
  }

  func value<Value>(
    _ key: String, environment variable: String? = nil, _ format: Format<Value>, default standard: Value,
    _ effect: Setting.Effect? = nil
  ) -> Value {
    if let value = value(key, environment: variable, format, effect) { return value }
    if !has(key, environment: variable) { note(key, format.show(standard), from: "default") }
    return standard
  }

  /// Values separated by commas or, in the file, also a sequence; nil if it is not set.
  func values<Value>(
    _ key: String, environment variable: String? = nil, _ format: Format<Value>, standard: String? = nil,
    _ effect: Setting.Effect? = nil
  ) -> [Value]? {
    declare(key, variable, effect)
    let node = member(key)
    if let variable, let text = reader.environment[variable] { return words(text, key, at: nil, variable, format) }
    guard let node else { return standard.map { words($0, key, at: nil, "default", format) } }
    switch node.content {
    case .sequence(let nodes):
      if nodes.isEmpty { reader.fail(path + key, at: node.mark, "the list is empty") }
      return nodes.compactMap { read($0, format, key) }
    case .scalar(let text, _) where !node.isNull: return words(text, key, at: node.mark, nil, format)
    default:
      reader.fail(path + key, at: node.mark, "expected a list")
      return []
    }
  }

  /// The mapping under a key; `body` reads an empty one if there is none.
  func section<Result>(_ key: String, _ effect: Setting.Effect? = nil, _ body: (Section) -> Result) -> Result {
    Section.read(path + key + ".", pattern + key + ".", effect ?? self.effect, member(key), in: reader, body)
  }

  /// The mappings under names that the file chooses.
  func sections(_ key: String, _ effect: Setting.Effect = .live, _ body: (_ name: String, Section) -> Void) {
    declare(key, nil, effect)
    guard let node = member(key) else { return }
    Section.read(path + key + ".", pattern + key + ".", self.effect, node, in: reader) { names in
      for member in names.members where !names.known.contains(member.key) {
        let name = member.key
        if name.isEmpty || name.utf8.count > 64 || !name.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) {
          reader.fail(path + key, at: member.mark, "expected names of at most 64 visible ASCII characters")
        }
        let node = names.member(name)
        Section.read(names.path + name + ".", names.pattern + "*.", self.effect, node, in: reader) { body(name, $0) }
      }
    }
  }

  /// Names that the file chooses, each with a value, in their order.
  func pairs<Value>(_ key: String, _ format: Format<Value>) -> [(name: String, value: Value)] {
    declare(key + ".*", nil, nil)
    guard let node = member(key) else { return [] }
    return Section.read(path + key + ".", pattern + key + ".", effect, node, in: reader) { pairs in
      pairs.members.filter { !pairs.known.contains($0.key) }.compactMap { member in
        pairs.member(member.key).flatMap { pairs.read($0, format, member.key) }.map { (member.key, $0) }
      }
    }
  }

  /// The elements of a sequence, each either a word or a mapping.
  func elements<Value>(
    _ key: String, environment variable: String? = nil, _ word: Format<Value>, _ effect: Setting.Effect? = nil,
    mapping: (Section) -> Value?
  ) -> [Value]? {
    declare(key, variable, effect)
    guard let node = member(key) else { return nil }
    guard case .sequence(let nodes) = node.content else { return values(key, word) }
    if nodes.isEmpty { reader.fail(path + key, at: node.mark, "the list is empty") }
    return nodes.enumerated().compactMap { index, element in
      guard case .mapping = element.content else { return read(element, word, "\(key)[\(index)]") }
      return Section.read("\(path)\(key)[\(index)].", "\(pattern)\(key)[].", self.effect, element, in: reader, mapping)
    }
  }

  // MARK: Reading

  private func note(_ key: String, _ value: String, from source: String) {
    // An element counts as the list that it is in.
    let name = key.prefix { $0 != "[" }
    reader.note(path + key, value, from: source, effects[String(name)] ?? effect)
  }

  private func words<Value>(
    _ text: String, _ key: String, at mark: YAMLNode.Mark?, _ variable: String?, _ format: Format<Value>
  ) -> [Value] {
    let words = text.split { $0 == "," || $0.isWhitespace }.map(String.init)
    if words.isEmpty { reader.fail(variable ?? path + key, at: mark, "the list is empty") }
    return words.compactMap { read($0, format, key, at: mark, variable) }
  }

  private func read<Value>(_ node: YAMLNode, _ format: Format<Value>, _ key: String) -> Value? {
    guard case .scalar(let text, let isPlain) = node.content else {
      reader.fail(path + key, at: node.mark, "expected a single value")
      return nil
    }
    if node.isNull {
      reader.fail(path + key, at: node.mark, "it has no value")
      return nil
    }
    if format.isPlain, !isPlain {
      reader.fail(path + key, at: node.mark, "expected it without quotes")
      return nil
    }
    return read(text, format, key, at: node.mark, nil)
  }

  private func read<Value>(
    _ text: String, _ format: Format<Value>, _ key: String, at mark: YAMLNode.Mark?, _ variable: String?
  ) -> Value? {
    do throws(Unexpected) {
      let value = try format.read(text)
      let source = variable ?? mark.map { "\(reader.fileName ?? ""):\($0)" } ?? ""
      note(key, format.isSecret ? "<redacted>" : format.show(value), from: source)
      if format.namesSecretFile { reader.noteSecretFile(text, of: path + key, from: source) }
      return value
    } catch {
      reader.fail(variable ?? path + key, at: mark, error.expectation)
      return nil
    }
  }
}

extension SettingsReader {
  /// Reads the file's outermost mapping, and says what of it is unknown.
  func read(_ root: YAMLNode?, _ body: (Section) -> Void) { Section.read("", "", .live, root, in: self, body) }
}
