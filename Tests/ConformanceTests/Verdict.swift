import Basics
import Testing

@testable import HTTPServer

/// What a server makes of bytes: each request in short form, then how it ends.
struct Verdict: Equatable, CustomStringConvertible {
  var requests: [String] = []
  var rejection: Int?

  var description: String { "\(requests) \(rejection.map(String.init) ?? "-")" }
}

/// Plays bytes into an `HTTP1StateMachine`, in the given pieces, answering each request as soon as it is whole.
func play(_ pieces: [[UInt8]], limits: Limits = Limits()) -> Verdict {
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
        held.removeFirst(2)
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
private func describe(_ head: borrowing RequestHead, _ bytes: Span<UInt8>) -> String {
  let query = head.query.map { "?" + bytes.text(at: $0) } ?? ""
  let body = head.body.isEmpty ? "" : " [\(bytes.text(at: head.body))]"
  return "\(head.method) \(bytes.text(at: head.path))\(query)\(body)\(head.keepAlive ? "" : " close")"
}

/// Bytes that a client may send, the rule they are about, and the only right reaction.
struct Case: CustomTestStringConvertible {
  /// The section of an RFC, or the practice where RFCs leave a choice.
  let rule: String
  let bytes: String
  var verdict: Verdict
  var testDescription: String { "\(rule): \(bytes.debugDescription.prefix(120))" }

  static func accepted(_ rule: String, _ bytes: String, _ requests: String...) -> Case {
    Case(rule: rule, bytes: bytes, verdict: Verdict(requests: requests))
  }

  static func refused(_ rule: String, _ bytes: String, _ status: Int = 400, after requests: String...) -> Case {
    Case(rule: rule, bytes: bytes, verdict: Verdict(requests: requests, rejection: status))
  }

  /// The verdict must not depend on how the bytes are split over reads.
  func check() {
    let bytes = Array(bytes.utf8)
    #expect(play([bytes]) == verdict)
    for split in 1..<max(bytes.count, 1) {
      #expect(play([Array(bytes[..<split]), Array(bytes[split...])]) == verdict, "split at \(split)")
    }
    #expect(play(bytes.map { [$0] }) == verdict, "a byte at a time")
  }
}

let host = "Host: a\r\n"

/// `GET / HTTP/1.1` with these lines behind `Host`.
func get(_ fields: String...) -> String { "GET / HTTP/1.1\r\n\(host)\(fields.map { $0 + "\r\n" }.joined())\r\n" }

/// `POST / HTTP/1.1` with these lines behind `Host`, and a body.
func post(_ fields: String..., body: String) -> String {
  "POST / HTTP/1.1\r\n\(host)\(fields.map { $0 + "\r\n" }.joined())\r\n\(body)"
}
