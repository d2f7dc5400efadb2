import Testing

/// RFC 9112 §5, and RFC 9110 §5 and §7.
@Suite struct FieldTests {
  static let syntax: [Case] = [
    .accepted("9112 §5 no space is needed", "GET / HTTP/1.1\r\nHost:a\r\n\r\n", "get /"),
    .accepted("9112 §5 space around the value", "GET / HTTP/1.1\r\nHost:\t a \t\r\n\r\n", "get /"),
    .accepted("9110 §5.1 names in any case", "GET / HTTP/1.1\r\nhOsT: a\r\n\r\n", "get /"),
    .accepted("9110 §5.5 an empty value", get("X:"), "get /"),
    .accepted("9110 §5.5 a value of spaces", get("X:   \t "), "get /"),
    .accepted("9110 §5.5 opaque bytes", get("X: \u{FC} \"q\" a:b"), "get /"),
    .accepted("9110 §5.6.2 any token", get("!#$%&'*+-.^_`|~0Aa: x"), "get /"),
    .accepted("9110 §5.3 unknown fields may repeat", get("X: 1", "X: 2"), "get /"),
    .refused("9112 §5.1 no space before the colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n"),
    .refused("9112 §5.1 no tab before the colon", get("X\t: a")),
    .refused("9112 §2.2 no space before the first field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
    .refused("9112 §5.2 no folding", get("X: a", " b")),
    .refused("9112 §5.2 no folding", get("X: a", "\tb")),
    .refused("9112 §5 a name", get(": a")),
    .refused("9112 §5 a colon", get("X")),
    .refused("9112 §5 a colon", get("X a")),
    .refused("9110 §5.6.2", get("X(: a")),
    .refused("9110 §5.6.2", get("X\u{E9}: a")),
    .refused("9110 §5.6.2", get("X\"Y: a")),
    .refused("9110 §5.5 NUL", get("X: a\u{0}")),
    .refused("9110 §5.5 control bytes", get("X: a\u{B}b")),
    .refused("9110 §5.5 control bytes", get("X: \u{1B}[0m")),
    .refused("9110 §5.5 DEL", get("X: \u{7F}")),
    .refused("9112 §2.2 CR LF only", "GET / HTTP/1.1\r\n\(host)X: a\n\r\n"),
    .refused("9112 §2.2 CR LF only", "GET / HTTP/1.1\r\n\(host)\n"),
    .refused("9110 §5.5 no bare CR", get("X: a\rb")),
    .refused("9110 §5.5 no bare CR", get("X: a\r")),
  ]

  static let hosts: [Case] = [
    .accepted("9110 §7.2", "GET / HTTP/1.1\r\nHost: a.example.com:8080\r\n\r\n", "get /"),
    .accepted("9110 §7.2 an address", "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", "get /"),
    .accepted("9110 §7.2 an underscore", "GET / HTTP/1.1\r\nHost: my_service\r\n\r\n", "get /"),
    .accepted("9112 §3.2 HTTP/1.0 needs none", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "get /"),
    .refused("9112 §3.2 one", "GET / HTTP/1.1\r\n\r\n"),
    .refused("9112 §3.2 only one", get("Host: a")),
    .refused("9112 §3.2 only one", get("host: b")),
    .refused("9112 §3.2 only one in HTTP/1.0 too", "GET / HTTP/1.0\r\n\(host)\(host)\r\n"),
    .refused("9112 §3.2 not empty", "GET / HTTP/1.1\r\nHost:\r\n\r\n"),
    .refused("9110 §7.2 one host", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n"),
    .refused("9110 §7.2 no path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
    .refused("9110 §7.2 no user", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"),
    .refused("9110 §7.2 only characters of hosts", "GET / HTTP/1.1\r\nHost: ]:::[%zz\r\n\r\n"),
    .refused("9110 §7.2 a port of digits", "GET / HTTP/1.1\r\nHost: a:b\r\n\r\n"),
    .refused("9110 §7.2 one port", "GET / HTTP/1.1\r\nHost: a:1:2\r\n\r\n"),
    .refused("9110 §7.2 a whole bracket", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n"),
    .refused("9110 §7.2 a host before the port", "GET / HTTP/1.1\r\nHost: :80\r\n\r\n"),
    .refused("9110 §7.2 no list of quotes", "GET / HTTP/1.1\r\nHost: \"a\"\r\n\r\n"),
    .refused("3986 §3.2.2 ASCII", "GET / HTTP/1.1\r\nHost: \u{E4}\r\n\r\n"),
  ]

  static let persistence: [Case] = [
    .accepted("9112 §9.3 HTTP/1.1 persists", get() + get(), "get /", "get /"),
    .accepted("9112 §9.3 close", get("Connection: close") + get(), "get / close"),
    .accepted("9112 §9.6 in any case", get("Connection: CLOSE"), "get / close"),
    .accepted("9112 §9.6 in a list", get("Connection: x , close"), "get / close"),
    .accepted("9112 §9.6 in a second field", get("Connection: x", "Connection: close"), "get / close"),
    .accepted("9112 §9.3 close wins", get("Connection: close, keep-alive"), "get / close"),
    .accepted("9112 §9.3 close wins", get("Connection: keep-alive, close"), "get / close"),
    .accepted("9112 §9.3 close wins", get("Connection: close", "Connection: keep-alive"), "get / close"),
    .accepted("9110 §7.6.1 whole options", get("Connection: closer"), "get /"),
    .accepted("9110 §5.6.1 empty elements", get("Connection: ,, close,"), "get / close"),
    .accepted("9112 §9.3 HTTP/1.0 does not persist", "GET / HTTP/1.0\r\n\r\n" + get(), "get / close"),
    .accepted(
      "9112 §9.3 unless asked to", "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n" + get(), "get /", "get /"),
    .accepted(
      "9110 §10.1.1 only for who knows it", "POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\na",
      "post / [a] close"),
    .refused("9110 §10.1.1 nothing else is known", get("Expect: 200-ok"), 417),
    .refused("9112 §9.3.2 what follows a broken request is none", get() + "BROKEN\r\n\r\n" + get(), after: "get /"),
  ]

  @Test("Fields", arguments: syntax + hosts + persistence)
  func fields(_ example: Case) { example.check() }
}
