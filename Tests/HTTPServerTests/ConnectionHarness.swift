@testable import HTTPServer

/// What a server makes of bytes: each request in short form, then how it ends.
struct Verdict: Equatable, CustomStringConvertible {
  var requests: [String] = []
  var rejection: Int?

  var description: String { "\(requests) \(rejection.map(String.init) ?? "-")" }
}

/// Plays bytes into an `HTTP1Connection`, in the given pieces, answering each request as soon as it is whole.
func play(_ pieces: [[UInt8]], limits: Limits = Limits()) -> Verdict {
  let now = ContinuousClock.now
  var connection = HTTP1Connection(limits: limits, now: now)
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
      case .reject(let rejection):
        verdict.rejection = rejection.status
        return verdict
      case .request(let consumed):
        verdict.requests.append(describe(parser.head, held.span))
        held.removeFirst(consumed)
        connection.answered(keepAlive: parser.head.keepAlive, now: now)
        if !parser.head.keepAlive { return verdict }
      }
    }
  }
  return verdict
}

func play(_ text: String, limits: Limits = Limits()) -> Verdict {
  play([Array(text.utf8)], limits: limits)
}

/// `method path[?query] [body]`
private func describe(_ head: RequestHead, _ bytes: Span<UInt8>) -> String {
  let query = head.query.map { "?" + bytes.text(at: $0) } ?? ""
  let body = head.body.isEmpty ? "" : " [\(bytes.text(at: head.body))]"
  return "\(head.method) \(bytes.text(at: head.path))\(query)\(body)\(head.keepAlive ? "" : " close")"
}
