import Basics
import CCurl
import Glibc
import Testing

/// Where a key may go is judged by `URLParts`, and where it does go by libcurl.
@Suite struct URLPartsAgreeWithCurlTests {
  @Test("libcurl connects to the host that URLParts names, whatever the URL", arguments: 0..<8 as Range<UInt64>)
  func oddURLs(_ seed: UInt64) throws {
    var (generator, compared, loopbacks) = (OddURLs(seed: seed), 0, 0)
    for _ in 0..<10_000 {
      let url = generator.next()
      guard let parts = URLParts(url), let curl = CurlURL(url) else { continue }
      compared += 1
      if parts.isLoopback { loopbacks += 1 }
      if !curl.agrees(with: parts) {
        Issue.record("\(url.debugDescription): \(parts.hostAndPort), for libcurl \(curl)")
      }
    }
    // Else the generator makes only what one of them refuses.
    #expect(compared > 500 && loopbacks > 100, "\(compared) compared, \(loopbacks) of them loopback")
  }

  @Test(
    "libcurl reads these otherwise than they look, and URLParts refuses them",
    arguments: [
      ("http://127.1/", "127.0.0.1"), ("http://0x7f000001/", "127.0.0.1"), ("http://2130706433/", "127.0.0.1"),
      ("http://0177.0.0.1/", "127.0.0.1"), ("http:///example.com/", "example.com"),
      ("http://%6cocalhost/", "localhost"), ("http:/example.com/", "example.com"),
      ("localhost/://x", "localhost"), ("http://[::1%25lo]/", "[::1]"),
    ])
  func refused(_ url: String, _ host: String) throws {
    #expect(URLParts(url) == nil)
    #expect(try #require(CurlURL(url)).host == host)
  }

  @Test("A user that looks like this machine is no host")
  func userIsNoHost() throws {
    let url = "http://localhost:x@127.0.0.2:8080/"
    let (parts, curl) = (try #require(URLParts(url)), try #require(CurlURL(url)))
    #expect(parts.host == "127.0.0.2" && curl.host == "127.0.0.2")
    #expect(parts.user == "localhost" && curl.user == "localhost")
    #expect(try #require(URLParts("http://localhost:x@example.com/")).isLoopback == false)
  }
}

/// A URL as libcurl reads the one of a request.
private struct CurlURL: CustomStringConvertible {
  let host: String
  let port: String?
  let user: String?
  let password: String?
  let query: String?

  /// nil for what libcurl refuses.
  init?(_ text: String) {
    let handle = unsafe curl_url()
    defer { unsafe curl_url_cleanup(handle) }
    let flags = UInt32(CURLU_GUESS_SCHEME | CURLU_NON_SUPPORT_SCHEME)
    guard unsafe curl_url_set(handle, CURLUPART_URL, text, flags) == CURLUE_OK else { return nil }
    func part(_ part: CURLUPart, flags: Int32 = 0) -> String? {
      var value: UnsafeMutablePointer<CChar>?
      guard unsafe curl_url_get(handle, part, &value, UInt32(flags)) == CURLUE_OK, let value = unsafe value else {
        return nil
      }
      defer { unsafe curl_free(value) }
      return unsafe String(cString: value)
    }
    host = part(CURLUPART_HOST) ?? ""
    port = part(CURLUPART_PORT, flags: CURLU_DEFAULT_PORT)
    user = part(CURLUPART_USER)
    password = part(CURLUPART_PASSWORD)
    query = part(CURLUPART_QUERY)
  }

  var description: String { "\(host):\(port ?? "") of \(user ?? "nobody")" }

  func agrees(with parts: URLParts) -> Bool {
    let isSameHost =
      parts.isIPv6Literal
      ? Self.address(String(host.dropFirst().dropLast())) == Self.address(parts.host)
      : host.lowercased() == parts.host.lowercased()
    let expectedPort = (parts.port ?? parts.defaultPort).map { "\($0)" }
    // Up to 8.16 at least, the usual port of a proxy's scheme is not in libcurl's table of them; in 8.23 it is.
    let isSamePort = port == expectedPort || port == nil && parts.port == nil && !parts.scheme.hasPrefix("http")
    // For libcurl an empty part may be none.
    return isSameHost && isSamePort && (user ?? "") == (parts.user ?? "")
      && (password ?? "") == (parts.password ?? "") && (query ?? "") == (parts.query ?? "")
  }

  /// libcurl writes IPv6 addresses in their shortest form.
  private static func address(_ text: String) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 16)
    return unsafe inet_pton(AF_INET6, text, &bytes) == 1 ? bytes : []
  }
}

/// Pieces of URLs in orders that nobody means; the same ones for the same seed.
private struct OddURLs {
  private var state: UInt64

  init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 | 1 }

  private static let hosts = [
    "localhost", "127.0.0.1", "127.9.9.9", "[::1]", "[::2]", "[0:0::1]", "[2001:DB8::1]", "[::ffff:127.0.0.1]", "127.1",
    "0x7f.1", "0177.0.0.1", "127.0.0.1.", "localhost.", "LOCALHOST", "example.com", "a_b.example", "xn--bcher-kva.de",
    "1.2.3.4.5", "256.0.0.1", "1a", "a.1b", "[::1", "::1", "[::1%25lo]", "[v1.a]", "%31", "",
  ]
  private static let odd = [
    "@", ":", "/", "?", "#", "\\", "%", "%40", "%00", "[", "]", ".", "..", "-", "_", ";", "&", "=", "+", "~", "!", "*",
    " ", "\t", "\n", "\r\n", "\u{0}", "\u{E9}", "\u{FF0F}", "\u{301}", "0", "80", "65536", "x", "localhost",
    "127.0.0.1",
    "//", "@localhost", ":x@", "http://",
  ]
  private static let schemes = ["http://", "https://", "http:/", "http:///", "HTTP://", "socks5h://", "", "http:\\\\"]
  private static let users = ["u@", "u:p@", ":p@", "@", ":@", "localhost:x@", "127.0.0.1@", "[::1]@", "u:p:q@", "%40@"]
  private static let ports = [":", ":0", ":1", ":80", ":443", ":080", ":65535", ":65536", ":x", ":+1", ":-1", ":1@h"]
  private static let ends = ["/", "/x", "/@h", "?", "?q", "?@h", "#", "#f", "#@h", "/a?b#c", "\\@h", "/..//x", ";x"]

  private mutating func random(_ count: Int) -> Int {
    // xorshift64*
    state ^= state >> 12
    state ^= state << 25
    state ^= state >> 27
    return Int((state &* 0x2545_F491_4F6C_DD1D) >> 33) % count
  }

  private mutating func pick(_ pieces: [String], often: Bool = true) -> String {
    random(4) < (often ? 3 : 1) ? pieces[random(pieces.count)] : ""
  }

  mutating func next() -> String {
    let scheme = random(2) == 0 ? "http://" : pick(Self.schemes)
    var url = scheme + pick(Self.users, often: false) + pick(Self.hosts) + pick(Self.ports, often: false)
    url += pick(Self.ends)
    // Half of them stay what they are; the others get something where nobody expects it.
    for _ in 0..<max(0, random(5) - 2) {
      let place = url.unicodeScalars.index(
        url.unicodeScalars.startIndex, offsetBy: random(url.unicodeScalars.count + 1))
      let piece = Self.odd[random(Self.odd.count)].unicodeScalars
      url.unicodeScalars.insert(contentsOf: piece, at: place)
    }
    return url
  }
}
