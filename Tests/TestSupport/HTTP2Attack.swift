/// What hostile clients of HTTP/2 are known to do.
package struct HTTP2Attack: Sendable, CustomStringConvertible {
  package let name: String
  /// So often, each time with the next stream: by then the server must have had enough.
  package let times: Int
  package let frames: @Sendable (_ stream: Int) -> [HTTP2Frame]

  package var description: String { name }

  private init(_ name: String, times: Int = 200, _ frames: @escaping @Sendable (Int) -> [HTTP2Frame]) {
    self.name = name
    self.times = times
    self.frames = frames
  }

  package static let all = [
    HTTP2Attack("rapid reset (CVE-2023-44487)") { [.get($0, "/held"), .reset($0)] },
    HTTP2Attack("made you reset (CVE-2025-8671)") { [.post($0, "/held"), .window($0, 0x7FFF_FFFF)] },
    HTTP2Attack("invalid headers") { [.get($0, "/", ("te", "gzip"))] },
    HTTP2Attack("CONTINUATION (CVE-2024-27316)") {
      [.headers($0, HTTP2Frame.request("GET", "/"), endsBlock: false)] + flood(.continuation($0))
    },
    HTTP2Attack("PING (CVE-2019-9512)") { _ in flood(.ping()) },
    HTTP2Attack("SETTINGS (CVE-2019-9515)") { _ in flood(.settings((3, 1))) },
    HTTP2Attack("empty DATA (CVE-2019-9518)") { [.post($0)] + flood(.data($0, [])) },
    HTTP2Attack("PRIORITY (CVE-2019-9513)") { flood(.priority($0)) },
    HTTP2Attack("WINDOW_UPDATE") { _ in flood(.window(0, 1)) },
    // Its answers wait for room that is never made, until the time for writing is over (CVE-2019-9517).
    HTTP2Attack("zero window", times: 50) { [.settings((4, 0)), .get($0)] },
    // One field goes into the table and is then named by a byte a time (RFC 7541 §6.1): 30 MB in 13 kB.
    HTTP2Attack("oversized header list (CVE-2016-6581)") { stream in
      let entry: [UInt8] = [0x40] + HTTP2Frame.block([("x", String(repeating: "a", count: 3000))]).dropFirst()
      let block = HTTP2Frame.block(HTTP2Frame.request("GET", "/")) + entry + [UInt8](repeating: 0xBE, count: 10_000)
      return [HTTP2Frame(1, flags: 5, stream: stream, block)]
    },
    HTTP2Attack("a bad preface") { _ in [HTTP2Frame(1, stream: 0, [0])] },
  ]

  private static func flood(_ frame: HTTP2Frame) -> [HTTP2Frame] { [HTTP2Frame](repeating: frame, count: 50) }
}
