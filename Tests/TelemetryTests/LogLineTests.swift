import Foundation
import Logging
import Testing

@testable import Telemetry

@Suite struct LogLineTests {
  private func line(_ format: LogSettings.Format, _ facts: [(name: String, value: String)]) -> String {
    var (bytes, timestamp) = ([UInt8](), Timestamp())
    LogLine.append(to: &bytes, &timestamp, format, level: .info, "message", facts)
    return String(decoding: bytes, as: UTF8.self)
  }

  @Test("Numbers are numbers in both formats, and texts that look like numbers are not")
  func numbers() throws {
    let facts = [("status", "404"), ("days_left", "-3"), ("client", "12"), ("request_id", "7"), ("audience", "1e9")]
    let json = try JSONSerialization.jsonObject(with: Data(line(.json, facts).utf8)) as? [String: Any]
    #expect(json?["status"] as? Int == 404 && json?["days_left"] as? Int == -3)
    #expect(["client", "request_id", "audience"].map { json?[$0] as? String } == ["12", "7", "1e9"])
    #expect(
      line(.text, facts).hasSuffix(
        " info message status=404 days_left=-3 client=\"12\" request_id=\"7\" audience=\"1e9\"\n"))
  }
}
