import DevTenant
import Foundation
import TestSupport
import Testing

extension IntegrationTests {
  /// Distributed traces: from a caller's request into the log, and on to the tenant.
  @Suite struct TraceTests {
    private static let trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    private static let span = "00f067aa0ba902b7"
    private static let parent = "traceparent: 00-\(trace)-\(span)-01"

    /// The texts in the log's lines with a message.
    private func lines(_ broker: BrokerProcess, _ message: String) -> [[String: String]] {
      broker.child.errors.split(separator: "\n").compactMap { line in
        (try? JSONSerialization.jsonObject(with: Data(line.utf8))) as? [String: Any]
      }.map { $0.compactMapValues { $0 as? String } }.filter { $0["message"] == message }
    }

    /// Runs a broker with callers that logs each request.
    private func withTraces(
      _ body: (Tenant, BrokerProcess, TestCallers, _ proof: String) async throws -> Void
    ) async throws {
      let callers = TestCallers()
      try await withBroker(["BROKER_LOG_LEVEL": "debug"], configuration: callers.text) { tenant, broker in
        try await body(tenant, broker, callers, callers.billingProof)
      }
    }

    @Test("A trace goes on to the tenant in a span of its own, and stands in the lines of the request and of the mint")
    func goesOn() async throws {
      try await withTraces { tenant, broker, callers, proof in
        let first = try await broker.token(
          API.path, "-H", proof, "-H", Self.parent, "-H", "tracestate: vendor=secret", "-H", "X-Request-Id: the-first")
        #expect(first.status == 200)
        let sent = try #require(tenant.tenant.statistics.lastTraceparent).split(separator: "-").map(String.init)
        #expect(sent.count == 4 && sent[0] == "00" && sent[1] == Self.trace && sent[2] != Self.span && sent[3] == "01")
        #expect(tenant.tenant.statistics.lastTracestate == nil)

        try await broker.child.wait(forLog: "\"message\":\"request\"")
        let minted = try #require(lines(broker, "token minted").first)
        #expect(minted["trace_id"] == Self.trace && minted["span_id"] == sent[2] && minted["request_id"] == "the-first")
        for message in ["request", "token given"] {
          let line = try #require(lines(broker, message).first)
          #expect(line["trace_id"] == Self.trace && line["span_id"] == Self.span && line["request_id"] == "the-first")
        }
      }
    }

    @Test("A token that is held is given in the trace of who got it")
    func held() async throws {
      try await withTraces { _, broker, _, proof in
        _ = try await broker.token(API.path, "-H", proof, "-H", Self.parent)
        let other = "traceparent: 01-\(String(repeating: "b", count: 32))-\(Self.span)-00-later"
        _ = try await broker.token(API.path, "-H", proof, "-H", other)
        try await broker.child.wait(forLog: "\"message\":\"token given\"", times: 2)
        #expect(lines(broker, "token given").last?["trace_id"] == String(repeating: "b", count: 32))
        #expect(lines(broker, "token minted").count == 1)
      }
    }

    @Test("A refusal by the tenant is logged in the trace of who asked")
    func noToken() async throws {
      try await withTraces { _, broker, callers, _ in
        _ = try await broker.token(
          Fault.notAuthorized.audience, "-H", callers.reportsProof, "-H", Self.parent)
        try await broker.child.wait(forLog: "\"message\":\"no token\"")
        #expect(lines(broker, "no token").first?["trace_id"] == Self.trace)
      }
    }

    @Test("A caller that is refused is logged in its trace")
    func denied() async throws {
      try await withTraces { _, broker, _, _ in
        _ = try await broker.token(API.path, "-H", Self.parent)
        try await broker.child.wait(forLog: "\"message\":\"denied\"")
        #expect(lines(broker, "denied").first?["trace_id"] == Self.trace)
      }
    }

    @Test("A traceparent that is malformed, or there twice, is ignored")
    func ignored() async throws {
      try await withBroker(["BROKER_LOG_LEVEL": "debug"]) { tenant, broker in
        let fields: [[String]] = [
          [], ["traceparent: 00-\(Self.trace.uppercased())-\(Self.span)-01"], [Self.parent, Self.parent],
          ["traceparent: 00-\(String(repeating: "0", count: 32))-\(Self.span)-01"], ["traceparent: x\u{7F}"],
        ]
        for (number, fields) in fields.enumerated() {
          let arguments = fields.flatMap { ["-H", $0] }
          let path = "\(broker.url)/token/\(API.path)?scope=read:a&organization=\(number)"
          let status = try await Answer.curl([path] + arguments).status
          #expect(status == 200 || fields.first?.contains("\u{7F}") == true && status == 400)
          #expect(tenant.tenant.statistics.lastTraceparent == nil)
        }
        try await broker.child.wait(forLog: "\"message\":\"request\"", times: 4)
        #expect(!broker.child.errors.contains("trace_id") && lines(broker, "token minted").count == 4)
      }
    }
  }
}
