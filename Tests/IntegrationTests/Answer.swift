import Foundation
import TestSupport

/// What curl was answered.
struct Answer {
  let status: Int
  let head: String
  let body: String

  static func curl(_ arguments: [String]) async throws -> Answer {
    let result = try await ChildProcess.run(
      "curl", ["--silent", "--show-error", "--include", "--path-as-is", "--max-time", "40"] + arguments)
    // Before the answer there is the head of another where curl was asked to say who it is.
    var parts = result.output.components(separatedBy: "\r\n\r\n")[...]
    while parts.dropFirst().first?.hasPrefix("HTTP/") ?? false { parts = parts.dropFirst() }
    guard result.status == 0, let head = parts.first, parts.count > 1 else {
      throw ChildProcess.Failure(description: "curl: \(result.status) \(result.errors)")
    }
    return Answer(
      status: Int(head.split(separator: " ")[1]) ?? 0, head: head,
      body: parts.dropFirst().joined(separator: "\r\n\r\n"))
  }

  /// The body as a JSON object; empty if it is none.
  var json: [String: Any] {
    (try? JSONSerialization.jsonObject(with: Data(body.utf8))) as? [String: Any] ?? [:]
  }

  var token: String? { json["access_token"] as? String }
  var error: String? { json["error"] as? String }

  /// How the request was asked to say who it is from.
  var challenges: [String] {
    head.split(separator: "\r\n").filter { $0.lowercased().hasPrefix("www-authenticate: ") }
      .map { String($0.dropFirst("www-authenticate: ".count)) }
  }

  func field(_ name: String) -> String? {
    let line = head.split(separator: "\r\n").first { $0.lowercased().hasPrefix("\(name): ") }
    return line.map { String($0.dropFirst(name.count + 2)) }
  }
}
