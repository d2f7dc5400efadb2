import Basics
import Testing

@Suite struct URLPartsTests {
  @Test("A URL is taken apart into what it was made of")
  func parts() throws {
    let parts = try URLParts(parsing: "https://us%40er:pa:ss@Example.com:8443/a/b?c=d?e#f/g")
    #expect(parts.scheme == "https" && parts.user == "us%40er" && parts.password == "pa:ss")
    #expect(parts.host == "Example.com" && !parts.isIPv6Literal && parts.port == 8443)
    #expect(parts.path == "/a/b" && parts.query == "c=d?e" && parts.fragment == "f/g")
  }

  @Test("Parts that a URL lacks are nil, and empty ones are not")
  func absentParts() throws {
    let bare = try URLParts(parsing: "http://a")
    #expect(bare.user == nil && bare.password == nil && bare.port == nil && bare.path.isEmpty)
    #expect(bare.query == nil && bare.fragment == nil)
    let empty = try URLParts(parsing: "http://:@a/?#")
    #expect(empty.user == "" && empty.password == "" && empty.path == "/" && empty.query == "" && empty.fragment == "")
    #expect(try URLParts(parsing: "http://u@a").password == nil)
  }

  @Test(
    "Where the authority ends, what looks like a host counts no more",
    arguments: [
      ("http://a/@localhost", "a"), ("http://a?@localhost", "a"), ("http://a#@localhost", "a"),
      ("http://localhost:x@b/", "b"), ("http://127.0.0.1@b", "b"), ("http://[::1]@b", "b"),
      ("http://localhost%2F@b", "b"),
    ])
  func host(_ url: String, _ host: String) {
    #expect(URLParts(url)?.host == host)
    #expect(URLParts(url)?.isLoopback == false)
  }

  @Test(
    "A URL that two readers could read differently is malformed, in the part that is said",
    arguments: [
      ("", .scheme), ("a", .scheme), ("a.example.com:443", .scheme), ("http:/a", .scheme), ("http:a", .scheme),
      ("://a", .scheme), ("HTTP://a", .scheme), (" http://a", .scheme), ("1http://a", .scheme), ("ht_tp://a", .scheme),
      ("a/http://b", .scheme),
      ("http://", .host), ("http:///a", .host), ("http://u@", .host), ("http://:80", .host), ("http://?a", .host),
      ("http://a b", .host), ("http://a%41", .host), ("http://a\\@b", .credentials), ("http://a\\b", .host),
      ("http://a\u{0}", .host), ("http://a\n", .host), ("http://a\r\n", .host), ("http://caf\u{E9}", .host),
      ("http://a\u{FF0F}b", .host), ("http://a*", .host), ("http://-a", .host), ("http://.a", .host),
      ("http://::1", .host), ("http://u@b@c", .host), ("http://a;b", .host), ("http://a]", .host),
      ("http://127.1", .host), ("http://2130706433", .host), ("http://0x7f000001", .host), ("http://a.0x1", .host),
      ("http://0177.0.0.1", .host), ("http://127.0.0.01", .host), ("http://127.0.0.256", .host), ("http://1", .host),
      ("http://127.0.0.1.", .host), ("http://1.2.3.4.5", .host), ("http://127.0.0", .host), ("http://127..0.1", .host),
      ("http://[::1", .brackets), ("http://[::1]a", .brackets), ("http://[::1]]", .brackets), ("http://[", .brackets),
      ("http://[]", .ipv6Address), ("http://[a]", .ipv6Address), ("http://[127.0.0.1]", .ipv6Address),
      ("http://[::1%25lo]", .ipv6Address), ("http://[v1.a]", .ipv6Address), ("http://[::1\u{0}]", .ipv6Address),
      ("http://[:::1]", .ipv6Address),
      ("http://a:", .port), ("http://a:0", .port), ("http://a:65536", .port), ("http://a:+1", .port),
      ("http://a:-1", .port), ("http://a:080", .port), ("http://a:1:2", .port), ("http://a:x", .port),
      ("http://a:100000", .port), ("http://a: 1", .port), ("http://a:1\u{301}", .port), ("http://[::1]:", .port),
      ("http://a:\u{661}", .port),
      ("http://u p@a", .credentials), ("http://u:\u{E9}@a", .credentials), ("http://u:\t@a", .credentials),
      ("http://a/ b", .path), ("http://a/\\", .path), ("http://a/\u{7F}", .path), ("http://a/\r\nX: y", .path),
      ("http://a/<b>", .path), ("http://a/caf\u{E9}", .path), ("http://a/?\"", .query), ("http://a?b c", .query),
      ("http://a#b#c", .fragment), ("http://a# ", .fragment),
    ] as [(String, URLParts.Malformed)])
  func malformed(_ url: String, _ part: URLParts.Malformed) {
    #expect(throws: part) { try URLParts(parsing: url) }
    #expect(URLParts(url) == nil)
  }

  @Test(
    "A host is a name, an address of four numbers, or an IPv6 address in brackets",
    arguments: [
      "a", "A", "localhost", "a.example.com", "a.example.com.", "a_b.example", "_a", "a--b", "1a", "1a.example", "a.1b",
      "xn--bcher-kva.de", "127.0.0.1", "255.255.255.255", "0.0.0.0", "a0x1",
    ])
  func hosts(_ host: String) {
    #expect(URLParts("http://\(host)/")?.host == host)
  }

  @Test(
    "An IPv6 address is told without its brackets, as it was written",
    arguments: ["::1", "::", "2001:DB8::1", "0:0::1", "::ffff:127.0.0.1"])
  func literals(_ address: String) {
    #expect(URLParts("http://[\(address)]:1")?.host == address)
    #expect(URLParts("http://[\(address)]:1")?.isIPv6Literal == true)
  }

  @Test("A host may be lacking where the reader says so, and then there is no port either")
  func noHost() throws {
    let parts = try URLParts(parsing: "redis+unix://u:p@/run/redis.sock?db=1", mayLackHost: true)
    #expect(parts.host.isEmpty && parts.user == "u" && parts.password == "p" && parts.path == "/run/redis.sock")
    #expect(try URLParts(parsing: "redis+unix:///s", mayLackHost: true).user == nil)
    #expect(try URLParts(parsing: "redis+unix://h/s", mayLackHost: true).host == "h")
    #expect(throws: URLParts.Malformed.host) { try URLParts(parsing: "redis+unix://:1/s", mayLackHost: true) }
  }

  @Test(
    "Only this machine itself is loopback",
    arguments: [
      ("http://127.0.0.1:8080/x", true), ("https://localhost/", true), ("http://localhost", true),
      ("http://[::1]:80/", true), ("http://127.9.9.9", true), ("http://u:p@localhost", true),
      ("https://127.0.0.1.example.com/", false), ("https://example.com/127.0.0.1", false),
      ("https://localhost.example.com", false), ("https://[::2]/", false), ("https://127.0.0.1@example.com/", false),
      ("https://128.0.0.1/", false), ("http://localhost:x@example.com", false), ("http://[::1]@example.com", false),
      ("http://[::ffff:127.0.0.1]", false), ("http://127.example.com", false), ("http://LOCALHOST", false),
    ])
  func loopback(_ url: String, _ expected: Bool) {
    #expect(URLParts(url)?.isLoopback == expected)
  }

  @Test(
    "What is sent stays secret over TLS and within this machine",
    arguments: [
      ("https://a", true), ("http://127.0.0.1", true), ("http://[::1]:1", true), ("http://a", false),
      ("http://localhost@a", false), ("ftp://localhost", false), ("httpss://a", false),
    ])
  func confidential(_ url: String, _ expected: Bool) {
    #expect(URLParts(url)?.isConfidential == expected)
  }

  @Test(
    "Host and port are told without what else may stand there",
    arguments: [
      ("https://a.example.com", "a.example.com:443"), ("https://a.example.com:8443/x?y=b:1", "a.example.com:8443"),
      ("http://127.0.0.1/", "127.0.0.1:80"), ("https://[2001:db8::1]:8443/", "[2001:db8::1]:8443"),
      ("https://[2001:db8::1]/", "[2001:db8::1]:443"), ("http://user:pa:ss@proxy:3128", "proxy:3128"),
      ("socks5h://proxy", "proxy:1080"), ("rediss://h/0", "h:6379"), ("other://h", "h"),
    ])
  func hostAndPort(_ url: String, _ expected: String) {
    #expect(URLParts(url)?.hostAndPort == expected)
  }

  @Test(
    "The origin has the port that the URL has, and a description nothing that may be secret",
    arguments: [
      ("https://a", "https://a", "https://a"), ("https://a:443/b/?c#d", "https://a:443", "https://a:443/b/"),
      ("http://u:p@[::1]:1/b", "http://[::1]:1", "http://[::1]:1/b"),
    ])
  func origin(_ url: String, _ origin: String, _ description: String) {
    #expect(URLParts(url)?.origin == origin)
    #expect(URLParts(url)?.description == description)
  }
}
