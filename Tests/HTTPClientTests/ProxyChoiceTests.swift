import Basics
import HTTPClient
import Testing

@Suite struct ProxyChoiceTests {
  @Test(
    "The proxy on the way is the one that curl takes",
    arguments: [
      ("https://a.example.com/", nil, [:], nil),
      ("https://a.example.com/", "http://p:1", [:], "p:1"),
      ("https://a.example.com/", "http://u:pa:ss@[2001:db8::2]:3128", [:], "[2001:db8::2]:3128"),
      ("https://a.example.com/", "http://p", [:], "p:1080"),
      ("https://a.example.com/", "socks5h://p", [:], "p:1080"),
      ("https://a.example.com/", "https://[2001:db8::2]", [:], "[2001:db8::2]:443"),
      ("https://a.example.com/", "http://u:p@q@p:1", [:], "the proxy"),
      ("https://a.example.com/", nil, ["ALL_PROXY": "p.example.com"], "p.example.com:1080"),
      ("https://a.example.com/", "", ["HTTPS_PROXY": "http://p:1"], nil),
      ("https://a.example.com/", nil, ["HTTPS_PROXY": "http://u:p@p:1"], "p:1"),
      ("https://a.example.com/", nil, ["https_proxy": "q:2", "HTTPS_PROXY": "p:1"], "q:2"),
      ("https://a.example.com/", nil, ["https_proxy": "", "ALL_PROXY": "p:1"], "p:1"),
      ("https://a.example.com/", nil, ["http_proxy": "p:1"], nil),
      ("https://127.0.0.1:1/", "http://p:1", ["HTTPS_PROXY": "p:1"], nil),
      ("https://localhost/", "http://p:1", [:], nil),
      ("https://a.example.com/", "http://p:1", ["NO_PROXY": "*"], nil),
      ("https://a.example.com/", "http://p:1", ["NO_PROXY": "b.test,.Example.com."], nil),
      ("https://a.example.com/", "http://p:1", ["no_proxy": "a.example.com b.test"], nil),
      ("https://a.example.com/", "http://p:1", ["NO_PROXY": "ample.com,*.example.com"], "p:1"),
      ("https://[2001:db8::1]/", "http://p:1", ["NO_PROXY": "2001:db8::1"], nil),
    ] as [(String, String?, [String: String], String?)])
  func proxy(_ url: String, _ configured: String?, _ environment: [String: String], _ expected: String?) throws {
    #expect(
      ProxyChoice.proxy(for: try #require(URLParts(url)), configured: configured, environment: environment) == expected)
  }
}
