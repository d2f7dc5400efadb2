import TestSupport
import Testing

@testable import HTTPServer

/// HTTP/2 as real clients speak it.
@Suite(.serialized, .timeLimit(.minutes(1))) struct HTTP2ClientTests {
  @Test("curl with prior knowledge: a request, a body, an answer larger than every window")
  func curl() async throws {
    try await Serving.run { serving in
      let url = "http://127.0.0.1:\(serving.port)"
      let options = ["-s", "--max-time", "20", "--http2-prior-knowledge", "-w", " %{http_version} %{http_code}"]
      let got = try await ChildProcess.run("curl", options + ["\(url)/a?b"])
      #expect(got.output == "/a  2 200")
      let posted = try await ChildProcess.run("curl", options + ["-d", "x=y", "\(url)/p"])
      #expect(posted.output == "/p x=y 2 200")
      let expected = try await ChildProcess.run(
        "curl", options + ["-d", "x=y", "-H", "Expect: 100-continue", "--expect100-timeout", "15", "\(url)/p"])
      #expect(expected.output == "/p x=y 2 200")
      let large = try await ChildProcess.run("curl", options + ["\(url)/large"])
      #expect(large.output.hasSuffix("a 2 200") && large.output.utf8.count == 4_000_006)
      let upgrade = try await ChildProcess.run(
        "curl", ["-s", "--max-time", "20", "--http2", "-w", " %{http_version}", "\(url)/x"])
      #expect(upgrade.output == "/x  1.1", "an offer to upgrade is not taken up (RFC 9113 §3.1)")
    }
  }

  @Test("nghttp: many streams at once on one connection")
  func nghttp() async throws {
    try await Serving.run { serving in
      let url = "http://127.0.0.1:\(serving.port)/later"
      let result = try await ChildProcess.run("nghttp", ["--timeout=20", "--multiply=50", url])
      #expect(result.status == 0, "\(result.errors)")
      #expect(result.output == String(repeating: "/later ", count: 50))
    }
  }
}
