import Testing
import BrokerCore

@testable import Stores

@Suite struct RedisReaderTests {
  /// What a reader finds in `bytes` when it is fed so many of them at a time.
  private func read(_ bytes: [UInt8], by step: Int, longestReply: Int = 100) throws(StoreError) -> [RedisReply] {
    guard var reader = RedisReader(longestReply: longestReply) else { throw StoreError("out of memory") }
    var replies: [RedisReply] = []
    for start in stride(from: 0, to: bytes.count, by: step) {
      try feed(bytes[start..<min(start + step, bytes.count)], to: &reader)
      while let reply = try reader.next() { replies.append(reply) }
    }
    return replies
  }

  private func feed(_ bytes: ArraySlice<UInt8>, to reader: inout RedisReader) throws(StoreError) {
    try unsafe bytes.span.withUnsafeBytes { (bytes) throws(StoreError) in try unsafe reader.feed(bytes) }
  }

  @Test("Replies are found wherever the bytes are cut", arguments: 1...7)
  func replies(step: Int) throws {
    let text = "+OK\r\n-ERR a b\r\n:-42\r\n$3\r\na\r\n\r\n$0\r\n\r\n$-1\r\n*3\r\n$1\r\nx\r\n$-1\r\n:7\r\n*0\r\n*-1\r\n"
    let expected: [RedisReply] = [
      .status("OK"), .error("ERR a b"), .integer(-42), .string(Array("a\r\n".utf8)), .string([]), .none,
      .array([.string([0x78]), .none, .integer(7)]), .array([]), .none,
    ]
    #expect(try read(Array(text.utf8), by: step) == expected)
  }

  @Test(
    "Bytes that are no reply end in an error",
    arguments: [
      "HTTP/1.1 400 Bad Request\r\n", "\r\n", "$x\r\n", "$-2\r\n", ":1x\r\n", ":\r\n", "*x\r\n", "*-5\r\n",
      "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n", "*4097\r\n", "*1\r\n*65\r\n", "*2147483647\r\n", "*99999999999999999999\r\n",
      "*1\r\n?\r\n", "\u{0}",
      // RESP3, which is never asked for, and which newer versions of hiredis read.
      "%1\r\n+a\r\n+b\r\n", "~1\r\n+a\r\n", ">1\r\n+a\r\n", "#t\r\n", ",1.5\r\n", "(12\r\n", "=5\r\ntxt:a\r\n",
      "*1\r\n#t\r\n",
    ])
  func nonsense(_ text: String) {
    let error = #expect(throws: StoreError.self) { try read(Array(text.utf8), by: 1) }
    #expect(error?.reason == "what answers is no Redis server")
  }

  @Test(
    "A reply that is too long ends in an error before it is whole",
    arguments: ["$999999999\r\n", "+", "*2\r\n$3\r\nabc\r\n$999\r\n"])
  func tooLong(start: String) {
    let bytes = Array(start.utf8) + [UInt8](repeating: 0x78, count: 200)
    #expect(throws: StoreError("the server's answer is too long")) { try read(bytes, by: 9) }
  }

  @Test("Many short replies are not too long together")
  func short() throws {
    let text = String(repeating: "*2\r\n$30\r\n\(String(repeating: "x", count: 30))\r\n:1\r\n", count: 1000)
    #expect(try read(Array(text.utf8), by: 1000, longestReply: 100).count == 1000)
  }

  @Test("Random bytes end in the same replies whether they come at once or one by one", arguments: 0..<20)
  func anything(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    let pieces = [
      "*2\r\n", "$3\r\n", "abc\r\n", ":12\r\n", "-E\r\n", "+O\r\n", "$-1\r\n", "*-1\r\n", "*64\r\n", "\r", "\n", "9",
      "-", "*",
    ]
    for _ in 0..<500 {
      var bytes = (0..<Int.random(in: 1...12, using: &random)).flatMap { _ in
        Array((pieces.randomElement(using: &random) ?? "").utf8)
      }
      if Bool.random(using: &random) {
        bytes[Int.random(in: bytes.indices, using: &random)] = .random(in: 0...255, using: &random)
      }
      let once = Result { try read(bytes, by: bytes.count) }
      let byBytes = Result { try read(bytes, by: 1) }
      if case .success(let replies) = once { #expect((try? byBytes.get()) == replies) }
    }
  }

  @Test("A server's error is put into the broker's words, because it may repeat what it was sent")
  func refusals() {
    let cases = [
      ("WRONGPASS invalid s3cret", "X was refused: the user or the password is wrong (WRONGPASS)"),
      (
        "ERR unknown command 'AUTH', with args beginning with: 's3cret'",
        "X was refused: it does not know the command, as a Sentinel would not (ERR)"
      ),
      (
        "ERR Error running script (call to f_1): @user_script:1: -OOM command not allowed",
        "X was refused: its memory is full (OOM)"
      ),
      ("-OOM command not allowed", "X was refused: its memory is full (OOM)"),
      (
        "MOVED 866 10.0.0.1:6379",
        "X was refused: it is a node of a cluster that does not tell who has the keys (MOVED)"
      ),
      ("ERR max number of clients reached", "X was refused: it has as many clients as it may have (ERR)"),
      ("ERR s3cret", "X was refused: it answered with an error (ERR)"),
      ("S3CRET", "X was refused: it answered with an error"),
      ("s3cret", "X was refused: it answered with an error"), ("", "X was refused: it answered with an error"),
    ]
    for (text, reason) in cases { #expect(RedisRefusal(text).error(of: "X").reason == reason) }
  }
}
