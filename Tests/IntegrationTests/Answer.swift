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
    guard result.status == 0, let end = result.output.range(of: "\r\n\r\n") else {
      throw ChildProcess.Failure(description: "curl: \(result.status) \(result.errors)")
    }
    return Answer(
      status: Int(result.output.split(separator: " ")[1]) ?? 0, head: String(result.output[..<end.lowerBound]),
      body: String(result.output[end.upperBound...]))
  }

  /// The body as a JSON object; empty if it is none.
  var json: [String: Any] {
    (try? JSONSerialization.jsonObject(with: Data(body.utf8))) as? [String: Any] ?? [:]
  }

  var token: String? { json["access_token"] as? String }
  var error: String? { json["error"] as? String }

  func field(_ name: String) -> String? {
    let line = head.split(separator: "\r\n").first { $0.lowercased().hasPrefix("\(name): ") }
    return line.map { String($0.dropFirst(name.count + 2)) }
  }
}
