import Foundation

@testable import Settings

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
    let secrets = secrets(in: root).joined(separator: "\n")
    if count(of: mark, in: secrets) == count(of: mark, in: String(decoding: bytes, as: UTF8.self)) {
      for line in shown { try promise("no secret is shown: \(line)", !line.contains(mark)) }
    }
  }

  /// Goes before the file: a host's name in it would be looked up.
  private static let environment = ["BROKER_LISTEN": "127.0.0.1:0", "BROKER_ADMIN_LISTEN": "off"]

  private static func read(_ origin: Configuration.Origin) -> Result<Configuration, ConfigurationErrors> {
    Result { () throws(ConfigurationErrors) in try Configuration(from: origin) }
  }

  /// The secrets of the corpus have it in them. Where it stands nowhere else, nothing shown may have it: that holds for
  /// parts of secrets too, and for what is shown of them in another way than they are written.
  private static let mark = "s3cr3t"

  private static func count(of word: String, in text: String) -> Int { text.components(separatedBy: word).count - 1 }

  /// What stands under keys that hold secrets, however deep, and before the @ of URLs.
  private static func secrets(in node: YAMLNode, under key: String = "") -> [String] {
    switch node.content {
    case .scalar(let text, _) where secretKeys.contains(key): [text]
    case .scalar(let text, _) where urlKeys.contains(key):
      text.wholeMatch(of: /[a-z+]+:\/\/([^\/]*)@.*/).map { [String($0.1)] } ?? []
    case .scalar: []
    case .sequence(let elements): elements.flatMap { secrets(in: $0, under: key) }
    case .mapping(let members):
      members.flatMap { secrets(in: $0.value, under: secretKeys.contains(key) ? key : $0.key.lowercased()) }
    }
  }

  /// In lower case: a key that is misspelt may hold a secret as well.
  private static let secretKeys = ["bearersha256", "clientsecret", "extraparameters", "proxy", "requireheader"]
  private static let urlKeys = ["issuer", "jwksurl", "tokenurl", "url"]
}
