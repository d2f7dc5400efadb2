import Testing

/// RFC 9112 §3.
@Suite struct RequestLineTests {
  private static func line(_ line: String) -> String { "\(line)\r\n\(host)\r\n" }

  static let methods: [Case] = [
    .accepted("9110 §9.3.1", line("GET / HTTP/1.1"), "get /"),
    .accepted("9110 §9.3.2", line("HEAD / HTTP/1.1"), "head /"),
    .accepted("9110 §9.3.3", line("POST / HTTP/1.1"), "post /"),
    .accepted("9110 §9.3.4", line("PUT / HTTP/1.1"), "put /"),
    .accepted("9110 §9.3.5", line("DELETE / HTTP/1.1"), "delete /"),
    .accepted("9110 §9.3.7", line("OPTIONS / HTTP/1.1"), "options /"),
    .accepted("9110 §9.1 unknown methods are the handler's to refuse", line("BREW /pot HTTP/1.1"), "other /pot"),
    .accepted("9110 §9.1 methods are case-sensitive", line("get / HTTP/1.1"), "other /"),
    .accepted("9110 §5.6.2 any token", line("M-SEARCH!#$%&'*+.^_`|~1 / HTTP/1.1"), "other /"),
    .refused("9110 §5.6.2", line("G(T / HTTP/1.1")),
    .refused("9110 §5.6.2", line("GE\"T / HTTP/1.1")),
    .refused("9110 §5.6.2", line("G\u{E9}T / HTTP/1.1")),
    .refused("9112 §2.2 NUL", line("G\u{0}T / HTTP/1.1")),
    .refused("9112 §3 no method", line(" / HTTP/1.1")),
    .refused("9112 §3 no method", line("/ HTTP/1.1")),
    .refused("9112 §2.2 white space before the line", line(" GET / HTTP/1.1")),
    .accepted("9112 §2.2 an empty line first is ignored", "\r\n" + line("GET / HTTP/1.1"), "get /"),
    .accepted(
      "9112 §2.2 so is one between requests", line("GET /a HTTP/1.1") + "\r\n" + line("GET /b HTTP/1.1"), "get /a",
      "get /b"),
    .refused("9112 §2.2 two are too many", "\r\n\r\n" + line("GET / HTTP/1.1")),
    .refused("9112 §2.2 an empty line has CR LF", "\r" + line("GET / HTTP/1.1")),
    .refused("9113 §3.4 nor does HTTP/2 begin behind one", "\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    .refused("PROXY protocol, version 1", "PROXY TCP4 10.0.0.1 10.0.0.2 1234 80\r\n" + line("GET / HTTP/1.1")),
    .refused("PROXY protocol, version 1, of nobody", "PROXY UNKNOWN\r\n" + line("GET / HTTP/1.1")),
    .refused("PROXY protocol, version 2", "\r\n\r\n\0\r\nQUIT\n!\u{11}\0\u{C}"),
    .accepted("9110 §9.1 PROXY is a method like any other", line("PROXY / HTTP/1.1"), "other /"),
    .refused("9112 §2.2 a bare line feed first", "\n" + line("GET / HTTP/1.1")),
    .refused("a TLS ClientHello", "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}"),
    .refused("9113 §3.4 the HTTP/2 preface is not HTTP/1", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
  ]

  static let spaces: [Case] = [
    .refused("9112 §3 one space", line("GET  / HTTP/1.1")),
    .refused("9112 §3 one space", line("GET /  HTTP/1.1")),
    .refused("9112 §3 nothing behind the version", line("GET / HTTP/1.1 ")),
    .refused("9112 §3 no tab", line("GET\t/ HTTP/1.1")),
    .refused("9112 §3 no tab", line("GET /\tHTTP/1.1")),
    .refused("9112 §3.2 no space in the target", line("GET /a b HTTP/1.1")),
    .refused("9112 §3 no form feed", line("GET\u{C}/ HTTP/1.1")),
    .refused("9112 §2.2 CR LF only", "GET / HTTP/1.1\n\(host)\r\n"),
    .refused("9112 §2.2 no bare CR", "GET / HTTP/1.1\r\(host)\r\n"),
    .refused("9112 §2.2 no bare CR", "GET /\rHTTP/1.1\r\n\(host)\r\n"),
    .refused("9112 §2.2 no second CR", "GET / HTTP/1.1\r\r\n\(host)\r\n"),
  ]

  static let targets: [Case] = [
    .accepted("9112 §3.2.1", line("GET /a?b=c?d&e HTTP/1.1"), "get /a?b=c?d&e"),
    .accepted("9112 §3.2.1 an empty query is one", line("GET /a? HTTP/1.1"), "get /a?"),
    .accepted(
      "nothing is normalised", line("GET /token/https://x//./../%2e HTTP/1.1"), "get /token/https://x//./../%2e"),
    .accepted("9112 §3.2.2", line("GET http://a.example:80/x HTTP/1.1"), "get /x"),
    .accepted("9112 §3.2.2", line("GET HTTPS://a/x?y HTTP/1.1"), "get /x?y"),
    .accepted("9112 §3.2.2 no path", line("GET http://a HTTP/1.1"), "get "),
    .accepted("9112 §3.2.2 no path, a query", line("GET http://a?q HTTP/1.1"), "get ?q"),
    .accepted("9112 §3.2.2 an address", line("GET http://[::1]:80/x HTTP/1.1"), "get /x"),
    .accepted("9112 §3.2.4", line("OPTIONS * HTTP/1.1"), "options *"),
    .refused("9112 §3.2.4 the asterisk is for OPTIONS", line("GET * HTTP/1.1")),
    .refused("9112 §3.2.4", line("OPTIONS ** HTTP/1.1")),
    .refused("9112 §3.2.3 no tunnels", line("CONNECT a:443 HTTP/1.1")),
    .refused("9112 §3.2.2 no host", line("GET http:///x HTTP/1.1")),
    .refused("9112 §3.2.2 no host", line("GET http:// HTTP/1.1")),
    .refused("9110 §4.2.4 no user", line("GET http://u@a/x HTTP/1.1")),
    .refused("9110 §4.2 no other scheme", line("GET ftp://a/x HTTP/1.1")),
    .refused("9112 §3.2 neither form", line("GET a HTTP/1.1")),
    .refused("9112 §3.2 neither form", line("GET ?a HTTP/1.1")),
    .refused("9112 §3.2 no fragment", line("GET /#f HTTP/1.1")),
    .refused("9112 §3.2 no fragment", line("GET /a?b#f HTTP/1.1")),
    .refused("3986 §2 no bytes beyond ASCII", line("GET /\u{E4} HTTP/1.1")),
    .refused("3986 §2 no control bytes", line("GET /\u{7F} HTTP/1.1")),
    .refused("3986 §2 no control bytes", line("GET /\u{1} HTTP/1.1")),
  ]

  static let versions: [Case] = [
    .accepted("9112 §2.3", "GET / HTTP/1.0\r\n\r\n", "get / close"),
    .refused("9112 §3 no version", "GET\r\n\r\n"),
    .refused("9112 §3 no version", "GET /\r\n\r\n"),
    .refused("9112 §2.3 case", line("GET / http/1.1")),
    .refused("9112 §2.3 one digit", line("GET / HTTP/1.10")),
    .refused("9112 §2.3 one digit", line("GET / HTTP/01.1")),
    .refused("9112 §2.3 a minor version", line("GET / HTTP/1")),
    .refused("9112 §2.3 a minor version", line("GET / HTTP/1.")),
    .refused("9112 §2.3 a dot", line("GET / HTTP/1,1")),
    .refused("9112 §2.3 digits", line("GET / HTTP/a.b")),
    .refused("9112 §2.3 the name", line("GET / HTTQ/1.1")),
    .refused("9110 §15.6.6", line("GET / HTTP/1.2"), 505),
    .refused("9110 §15.6.6", line("GET / HTTP/2.0"), 505),
    .refused("9110 §15.6.6", line("GET / HTTP/0.9"), 505),
    .refused("9110 §15.6.6", line("GET / HTTP/9.9"), 505),
  ]

  @Test("The request line", arguments: methods + spaces + targets + versions)
  func requestLine(_ example: Case) { example.check() }
}
