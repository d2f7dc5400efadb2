import Testing

@testable import Application

@Suite struct RunningBrokerTests {
  @Test(
    "A broker is asked at the first address that it listens on",
    arguments: [
      ([], "http://127.0.0.1:8080"), (["127.0.0.1:9", "127.0.0.1:10"], "http://127.0.0.1:9"),
      (["0.0.0.0:9"], "http://127.0.0.1:9"), (["[::]:9"], "http://[::1]:9"), (["https://a:9"], "https://a:9"),
      (["unix:/run/a?mode=0660", "127.0.0.1:9"], "unix:/run/a"),
      (["127.0.0.1:9?proxy=required", "127.0.0.1:10"], "http://127.0.0.1:10"),
    ] as [([String], String)])
  func address(_ addresses: [String], _ url: String) {
    #expect(RunningBroker.url(listening: addresses) == url)
  }

  @Test("A Unix socket is named by an absolute path")
  func socket() throws {
    #expect(try RunningBroker(url: "unix:/run/a").url == "unix:/run/a")
    #expect(throws: RunningBroker.Unreachable.self) { try RunningBroker(url: "unix:run/a") }
  }
}
