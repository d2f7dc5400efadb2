/// What a configuration is read from: the environment and, where it says nothing, a file. Collects all that is wrong,
/// and all that is in force with where it comes from.
final class SettingsReader {
  /// An empty variable is how container platforms spell an unset one.
  let environment: [String: String]
  let fileName: String?
  private(set) var effective: [EffectiveSetting] = []
  /// Every setting that was looked for, each once.
  private(set) var known: [Setting] = []
  /// Those in force that cannot be given up while the process runs.
  private(set) var restrictions: Set<String> = []
  private var errors: [(error: ConfigurationError, mark: YAMLNode.Mark?)] = []

  init(environment: [String: String], fileName: String?) {
    self.environment = environment.filter { !$0.value.isEmpty }
    self.fileName = fileName
  }

  /// `key` may have names in it that the file chose.
  func fail(_ key: String, at mark: YAMLNode.Mark? = nil, _ expectation: String) {
    let source = mark.map { "\(fileName ?? ""):\($0)" } ?? "environment"
    errors.append((ConfigurationError(key: key.inOneLine, source: source, expectation: expectation), mark))
  }

  func note(_ key: String, _ value: String, from source: String, _ effect: Setting.Effect) {
    effective.append(EffectiveSetting(key: key.inOneLine, value: value, source: source, effect: effect))
  }

  func know(_ setting: Setting) { if !known.contains(where: { $0.key == setting.key }) { known.append(setting) } }

  func restrict(_ key: String) { restrictions.insert(key) }

  /// Throws all that is wrong: the environment first, then the file from its top.
  func finish() throws(ConfigurationErrors) {
    if errors.isEmpty { return }
    let sorted = errors.enumerated().sorted { left, right in
      let (a, b) = (left.element.mark, right.element.mark)
      return (a?.line ?? 0, a?.column ?? 0, left.offset) < (b?.line ?? 0, b?.column ?? 0, right.offset)
    }
    throw ConfigurationErrors(errors: sorted.map(\.element.error))
  }
}
