import HTTPClient
import Testing

@testable import OAuth

@Suite struct ClientProbeTests {
  /// Saturday, 1 January 2000, 0:00 UTC.
  private static let date = "Sat, 01 Jan 2000 00:00:00 GMT"
  private static let time = 946_684_800.0

  @Test(
    "A clock is off by what neither the whole seconds of a date nor the way there explain",
    arguments: [
      (date, nil, time, time, 0), (date, nil, time + 0.9, time + 1, 0), (date, nil, time - 2, time, 0),
      (date, nil, time - 2, time - 1, 1), (date, nil, time + 1.5, time + 9, -0.5),
      (date, nil, time + 601, time + 601, -600),
      (date, nil, time - 601, time - 600, 600),
      // What a cache has held for an hour was dated an hour ago.
      (date, "3600", time + 3600, time + 3600, 0), (date, "3600", time + 3602, time + 3603, 0),
      (date, "3600", time + 3000, time + 3000, 600), (date, "-1", time, time, 0),
      (nil, nil, time, time, nil), ("yesterday", nil, time, time, nil), ("", nil, time, time, nil),
    ] as [(String?, String?, Double, Double, Double?)])
  func clockOffset(_ date: String?, _ age: String?, _ asked: Double, _ answered: Double, _ expected: Double?) {
    #expect(ClientProbe.clockOffset(date: date, age: age, asked: asked, answered: answered) == expected)
  }

  @Test(
    "Host and port of a URL, without what else may stand there",
    arguments: [
      ("https://a.example.com", "a.example.com:443"), ("https://a.example.com:8443/x?y=b:1", "a.example.com:8443"),
      ("http://127.0.0.1/", "127.0.0.1:80"), ("https://[2001:db8::1]:8443/", "[2001:db8::1]:8443"),
      ("https://[2001:db8::1]/", "[2001:db8::1]:443"), ("http://user:pa:ss@proxy:3128", "proxy:3128"),
      ("proxy.example.com", "proxy.example.com:1080"), ("socks5h://proxy", "proxy:1080"),
    ])
  func hostAndPort(_ url: String, _ expected: String) {
    #expect(HostAndPort(of: url).description == expected)
  }

  @Test(
    "The proxy on the way is the one that curl takes",
    arguments: [
      ("https://a.example.com/", nil, [:], nil),
      ("https://a.example.com/", "http://p:1", [:], "p:1"),
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
  func proxy(_ url: String, _ configured: String?, _ environment: [String: String], _ expected: String?) {
    #expect(ProxyChoice.proxy(for: url, configured: configured, environment: environment) == expected)
  }
}
