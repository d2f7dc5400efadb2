import Basics

@testable import HTTPServer

extension FuzzTarget {
  /// A connection's bytes: requests that follow each other, and what follows them.
  static let http1 = FuzzTarget(name: "http1") { bytes in
    let whole = try play([bytes[...]])
    for split in Splits.of(bytes) {
      let played = try play(split)
      try promise("the verdict does not depend on the split: \(whole) \(played)", played == whole)
    }
  }

  /// Small, so that inputs of a few hundred bytes reach each of them.
  private static var limits: Limits {
    var limits = Limits()
    limits.requestLineBytes = 64
    limits.headBytes = 256
    limits.fields = 6
    limits.bodyBytes = 64
    return limits
  }

  private struct Request: Equatable {
    let line: String
    let path: String
    let query: String?
    /// But for those on framing.
    let fields: [String]
    let body: [UInt8]
    let keepAlive: Bool
  }

  private struct Verdict: Equatable {
    var requests: [Request] = []
    var rejection: Rejection?
    /// What was consumed.
    var end = 0
  }

  /// Each request is answered as soon as it is whole.
  private static func play(_ pieces: [ArraySlice<UInt8>], isRewritten: Bool = false) throws -> Verdict {
    let now = Instant.now
    var connection = HTTP1StateMachine(limits: ConnectionLimits(limits), now: now)
    var parser = RequestParser()
    var held: [UInt8] = []
    var verdict = Verdict()
    for piece in pieces {
      held += piece
      steps: while true {
        var span = held.mutableSpan
        switch connection.step(&span, parser: &parser, now: now) {
        case .wait, .sendContinue:
          break steps
        case .skipLine:
          try promise("what is skipped is an empty line", held.starts(with: [13, 10]))
          verdict.end += 2
          held.removeFirst(2)
        case .reject(let rejection):
          verdict.rejection = rejection
          return verdict
        case .request(let consumed):
          try promise("a request consumes what there is", (1...held.count).contains(consumed))
          let request = try request(parser.head, held)
          if !isRewritten { try rewrite(request) }
          verdict.requests.append(request)
          verdict.end += consumed
          held.removeFirst(consumed)
          connection.answered(keepAlive: request.keepAlive, now: now)
          if !request.keepAlive { return verdict }
        }
      }
    }
    return verdict
  }

  /// What a handler sees of a request, which is nothing that could be read in two ways.
  private static func request(_ head: borrowing RequestHead, _ bytes: [UInt8]) throws -> Request {
    let bytes = bytes.span
    let end = bytes.indices.first { bytes[$0] == Octet.carriageReturn } ?? 0
    let line = bytes.text(at: 0..<end)
    let words = line.split(separator: " ", omittingEmptySubsequences: false)
    try promise("a request line is three words: \(line)", words.count == 3 && words.allSatisfy { !$0.isEmpty })
    try promise("in visible ASCII: \(line)", line.utf8.allSatisfy { $0 == Octet.space || Octet.isVisible($0) })
    let path = bytes.text(at: head.path)
    try promise("a path is one: \(line)", path.isEmpty || path.hasPrefix("/") || path == "*")
    let names = head.fields.map { bytes.text(at: $0.name).lowercased() }
    let values = head.fields.map { bytes.array(at: $0.value) }
    try promise("names are tokens: \(names)", names.allSatisfy { !$0.isEmpty && $0.utf8.allSatisfy(Octet.isToken) })
    try promise("values hold no control bytes", values.allSatisfy { $0.allSatisfy(Octet.isFieldValue) })
    let counts = Dictionary(names.map { ($0, 1) }, uniquingKeysWith: +)
    try promise("there is one host", counts["host"] == 1 || counts["host"] == nil && head.minorVersion == 0)
    let framing = (counts["content-length"] ?? 0) + (counts["transfer-encoding"] ?? 0)
    try promise("the length is told once at the most", framing <= 1 && (framing == 1 || head.body.isEmpty))
    try promise(
      "limits hold",
      end <= limits.requestLineBytes && names.count <= limits.fields && head.body.count <= limits.bodyBytes)
    let fields = zip(names, values).filter { !["content-length", "transfer-encoding", "expect"].contains($0.0) }
    return Request(
      line: line, path: path, query: head.query.map { bytes.text(at: $0) },
      fields: fields.map { "\($0): \(String(decoding: $1.map { UInt16($0) }, as: UTF16.self))" },
      body: bytes.array(at: head.body), keepAlive: head.keepAlive)
  }

  /// A proxy that passes the request on in its own framing passes on the same request.
  private static func rewrite(_ request: Request) throws {
    let lines = [request.line] + request.fields + ["content-length: \(request.body.count)", "", ""]
    let head = lines.joined(separator: "\r\n").unicodeScalars.map { UInt8($0.value) }
    let verdict = try play([(head + request.body)[...]], isRewritten: true)
    // The length that was added may be what is too much.
    if request.fields.count == limits.fields || head.count > limits.headBytes { return }
    try promise("\(request) is read as written: \(verdict)", verdict.requests == [request])
    try promise("to its end", verdict.end == head.count + request.body.count)
  }
}
