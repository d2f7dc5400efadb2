import Testing

@testable import OAuth

/// W3C Trace Context, §3.2 and §4.3.
@Suite struct TraceContextTests {
  private static let trace = "4bf92f3577b34da6a3ce929d0e0e4736"
  private static let span = "00f067aa0ba902b7"

  @Test(
    "A traceparent is read, of a later version too, and passed on in version 00 with a span of its own",
    arguments: [
      ("00-\(trace)-\(span)-01", "01"), ("00-\(trace)-\(span)-00", "00"),
      // Flags that nobody has defined yet are not passed on.
      ("00-\(trace)-\(span)-ff", "03"), ("00-\(trace)-\(span)-02", "02"), ("00-\(trace)-\(span)-08", "00"),
      ("01-\(trace)-\(span)-01", "01"), ("cc-\(trace)-\(span)-01-what-the-future-will-be-like", "01"),
      ("fe-\(trace)-\(span)-01-", "01"), ("00-\(String(repeating: "0", count: 31))1-\(span)-01", "01"),
    ])
  func valid(_ text: String, _ flags: String) throws {
    let context = try #require(TraceContext(traceparent: text))
    #expect(context.traceID == text.dropFirst(3).prefix(32) && context.spanID == Self.span)
    let child = context.child()
    #expect(child.traceparent == "00-\(context.traceID)-\(child.spanID)-\(flags)")
    #expect(child.spanID != context.spanID && child.spanID != context.child().spanID)
    #expect(TraceContext(traceparent: child.traceparent) == child)
  }

  @Test(
    "What is malformed counts as none",
    arguments: [
      "", "00", "-", "00-\(trace)-\(span)", "00-\(trace)-\(span)-", "00-\(trace)-\(span)-0", "00-\(trace)-\(span)-1",
      // Version 00 ends there; a later one goes on with a dash.
      "00-\(trace)-\(span)-01-", "00-\(trace)-\(span)-01-more", "00-\(trace)-\(span)-011",
      "01-\(trace)-\(span)-01.more",
      "01-\(trace)-\(span)-011", "ff-\(trace)-\(span)-01", "FF-\(trace)-\(span)-01", "0-\(trace)-\(span)-01",
      "000-\(trace)-\(span)-01", "0x-\(trace)-\(span)-01", "+1-\(trace)-\(span)-01",
      "00-\(String(repeating: "0", count: 32))-\(span)-01", "00-\(trace)-\(String(repeating: "0", count: 16))-01",
      "00-\(trace.uppercased())-\(span)-01", "00-\(trace)-\(span.uppercased())-01", "00-\(trace)-\(span)-0A",
      "00-\(trace.dropLast())-\(span)-01", "00-\(trace)0-\(span)-01", "00-\(trace)-\(span.dropLast())-01",
      "00_\(trace)_\(span)_01", "00-\(trace.dropLast())g-\(span)-01", "00-\(trace)-\(span)-0g",
      "00-\(trace)-\(span)-+1",
      " 00-\(trace)-\(span)-01", "00-\(trace)-\(span)-01 ", "00-\(trace)-\(span)-01,00-\(trace)-\(span)-01",
      "00-\(trace.dropLast(2))é-\(span)-01", "00-\(trace)-\(span)-\u{FF10}1", "00-\(trace)-\(span)-01\r\nX: y",
      String(repeating: "0", count: 5000),
    ])
  func invalid(_ text: String) {
    #expect(TraceContext(traceparent: text) == nil)
  }
}
