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
  /// Those that settings name.
  private(set) var secretFiles: [SecretFilePath] = []
  var hasErrors: Bool { !errors.isEmpty }
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

  /// For what stands nowhere: it is missed in the file where there is one, else in the environment.
  func fail(_ key: String, variable: String?, _ expectation: String) {
    let key = key.inOneLine
    let error: ConfigurationError
    if let fileName {
      let alternative = variable.map { ", or \($0) in the environment" } ?? ""
      error = ConfigurationError(key: key, source: fileName, expectation: expectation + alternative)
    } else {
      let hint = variable == nil ? "; only a configuration file has it (--config)" : ""
      error = ConfigurationError(key: variable ?? key, source: "environment", expectation: expectation + hint)
    }
    errors.append((error, nil))
  }

  func noteSecretFile(_ path: String, of key: String, from source: String) {
    secretFiles.append(SecretFilePath(path: path, key: key.inOneLine, source: source))
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

/// A file that nobody else should be able to read, and the setting that names it.
package struct SecretFilePath: Sendable {
  package let path: String
  let key: String
  let source: String
}
