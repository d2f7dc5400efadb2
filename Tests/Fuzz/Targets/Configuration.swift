import Foundation

@testable import token_broker

extension FuzzTarget {
  /// A whole configuration file.
  static let configuration = FuzzTarget(name: "configuration") { bytes in
    let path = FileManager.default.temporaryDirectory
      .appendingPathComponent("configuration-\(ProcessInfo.processInfo.processIdentifier)").path
    try Data(bytes).write(to: URL(fileURLWithPath: path))
    defer { try? FileManager.default.removeItem(atPath: path) }
    let origin = Configuration.Origin(
      environment: environment.merging(["BROKER_CONFIG": path]) { $1 }, isTerminal: false)
    let shown: [String]
    switch read(origin) {
    case .success(let configuration):
      shown = configuration.effective.map { "\($0.key) \($0.value) \($0.source)" }
      try promise("a client is there", !configuration.clients.isEmpty)
      try promise("nothing is opened by reading it again", configuration.openings(since: configuration).isEmpty)
    case .failure(let error):
      shown = error.errors.map(\.description)
      try promise("what is wrong is said", !error.errors.isEmpty)
      for error in error.errors {
        try promise("with its key: \(error)", !error.key.isEmpty && !error.expectation.isEmpty)
        try promise("and its place: \(error)", error.source == "environment" || error.source.hasPrefix(path))
      }
    }
    for line in shown { try promise("a line is one: \(line)", !line.utf8.contains { $0 < 0x20 || $0 == 0x7F }) }
    guard let root = try? YAMLParser.parse(bytes) else { return }
    for secret in secrets(in: root) where isOnlyThere(secret, bytes) {
      try promise("no secret is shown: \(secret)", !shown.contains { $0.contains(secret) })
    }
  }

  /// Goes before the file: a host's name in it would be looked up.
  private static let environment = ["BROKER_LISTEN": "127.0.0.1:0", "BROKER_ADMIN_LISTEN": "off"]

  private static func read(_ origin: Configuration.Origin) -> Result<Configuration, ConfigurationErrors> {
    Result { () throws(ConfigurationErrors) in try Configuration(from: origin) }
  }

  /// What stands under keys that hold secrets, wherever these are.
  private static func secrets(in node: YAMLNode) -> [String] {
    switch node.content {
    case .scalar: []
    case .sequence(let elements): elements.flatMap { secrets(in: $0) }
    case .mapping(let members):
      members.flatMap { member in
        if case .scalar(let text, _) = member.value.content, Self.secretKeys.contains(member.key) { return [text] }
        return secrets(in: member.value)
      }
    }
  }

  private static let secretKeys = ["bearerSHA256", "clientSecret", "proxy", "requireHeader"]

  /// Long enough to be found by no chance, and nothing else as well.
  private static func isOnlyThere(_ secret: String, _ bytes: [UInt8]) -> Bool {
    let text = String(decoding: bytes, as: UTF8.self)
    return secret.utf8.count >= 8 && text.components(separatedBy: secret).count == 2
  }
}
