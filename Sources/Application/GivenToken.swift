import Basics
import FoundationEssentials

/// How the command `token` prints one.
package enum TokenOutput: String, CaseIterable, Sendable {
  case text
  case json
  /// A line for curl's option `-H`.
  case header
  /// For kubectl and other users of client-go: an ExecCredential of client.authentication.k8s.io.
  case execCredential = "exec-credential"
  /// For git, as gitcredentials(7) has it.
  case gitCredential = "git-credential"
}

/// A token as a broker has given it, for the programs that the command line passes it on to.
package struct GivenToken: Sendable {
  /// Why it cannot be printed: a sentence for people.
  package struct Unprintable: Error, Equatable {
    package let reason: String
  }

  private struct Answer: Decodable {
    let accessToken: String
    let expiresIn: Int
    let refreshIn: Int?
    let scope: String?
  }

  private let answer: Answer
  /// In Unix time.
  private let expiresAt: Int

  /// Reads the broker's answer, which came at `now`, in Unix time; nil if it is none.
  package init?(_ body: [UInt8], now: Double = WallClock.now) {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    guard let answer = try? decoder.decode(Answer.self, from: Data(body)) else { return nil }
    // What it is printed into has lines, and a field ends with its line.
    let token = answer.accessToken.utf8
    guard !token.isEmpty, token.allSatisfy({ (0x21...0x7E).contains($0) }) else { return nil }
    // A century is more than any token has.
    guard (0...3_200_000_000).contains(answer.expiresIn) else { return nil }
    (self.answer, expiresAt) = (answer, Int(now) + answer.expiresIn)
  }

  /// What is printed. `environment` has what client-go says (KUBERNETES_EXEC_INFO), and `user` is whom git asks for.
  package func text(
    _ output: TokenOutput, environment: [String: String] = [:], user: String? = nil
  ) throws(Unprintable) -> String {
    switch output {
    case .text: "\(answer.accessToken)\n"
    case .json: String(decoding: json, as: UTF8.self) + "\n"
    case .header: "Authorization: Bearer \(answer.accessToken)\n"
    case .execCredential: String(decoding: try execCredential(environment), as: UTF8.self) + "\n"
    case .gitCredential:
      "username=\(user ?? "token")\npassword=\(answer.accessToken)\npassword_expiry_utc=\(expiresAt)\n"
    }
  }

  private var json: [UInt8] {
    var members = [
      ("access_token", JSONText.string(answer.accessToken)), ("token_type", JSONText.string("Bearer")),
      ("expires_in", JSONText.number(answer.expiresIn)), ("expires_at", JSONText.number(expiresAt)),
    ]
    if let refreshIn = answer.refreshIn { members.append(("refresh_in", JSONText.number(refreshIn))) }
    if let scope = answer.scope { members.append(("scope", JSONText.string(scope))) }
    return JSONText.object(members)
  }

  private func execCredential(_ environment: [String: String]) throws(Unprintable) -> [UInt8] {
    let status = JSONText.object([
      ("expirationTimestamp", JSONText.string(UTCDate(expiresAt).dateAndTime + "Z")),
      ("token", JSONText.string(answer.accessToken)),
    ])
    return JSONText.object([
      ("apiVersion", JSONText.string(try Self.apiVersion(environment["KUBERNETES_EXEC_INFO"]))),
      ("kind", JSONText.string("ExecCredential")), ("status", status),
    ])
  }

  private static let group = "client.authentication.k8s.io/"

  /// The version that the kubeconfig names, for no other is accepted.
  private static func apiVersion(_ info: String?) throws(Unprintable) -> String {
    struct Info: Decodable { let apiVersion: String }
    guard let info, !info.isEmpty else { return group + "v1" }
    guard let version = try? JSONDecoder().decode(Info.self, from: Data(info.utf8)).apiVersion,
      version.hasPrefix(group)
    else { throw Unprintable(reason: "KUBERNETES_EXEC_INFO is no ExecCredential of \(group)v1") }
    return version
  }
}

/// What git tells a credential helper, a line each, `name=value` (git-credential(1)).
package struct GitAttributes: Sendable {
  private var values: [String: String] = [:]

  /// Reads lines up to an empty one.
  package init(_ lines: some Sequence<String>) {
    for line in lines.prefix(while: { !$0.isEmpty }) {
      guard let equals = line.firstIndex(of: "=") else { continue }
      values[String(line[..<equals])] = String(line[line.index(after: equals)...])
    }
  }

  package var user: String? { values["username"] }

  /// Whether what git sends cannot be read on the way: it asks for every host that its configuration does not exclude.
  package var isPrivate: Bool {
    let host = values["host"] ?? ""
    return values["protocol"] == "https" || URLParts("http://\(host)")?.isLoopback ?? false
  }

  /// The SHA-256 of the password that was refused, in lower-case hexadecimal; nil if none is named.
  package var rejected: String? { values["password"].map { SHA256Digest(of: Array($0.utf8).span).hex } }
}
