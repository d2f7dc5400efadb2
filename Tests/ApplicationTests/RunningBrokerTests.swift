import Foundation
import Settings
import Testing

@testable import Application

@Suite struct RunningBrokerTests {
  @Test(
    "A broker is asked at the first address of the main listener that can be asked",
    arguments: [
      ([], "http://127.0.0.1:8080"), (["127.0.0.1:9", "127.0.0.1:10"], "http://127.0.0.1:9"),
      (["0.0.0.0:9"], "http://127.0.0.1:9"), (["[::]:9"], "http://[::1]:9"), (["https://a:9"], "https://a:9"),
      (["https://0.0.0.0:9"], "https://127.0.0.1:9"), (["unix:/run/a?mode=0660", "127.0.0.1:9"], "unix:/run/a"),
      (["127.0.0.1:9?proxy=required", "127.0.0.1:10"], "http://127.0.0.1:10"),
    ] as [([String], String)])
  func address(_ addresses: [String], _ url: String) throws {
    #expect(try RunningBroker.ways(to: AskableBroker(main: addresses), asksAdmin: true).map(\.url) == [url])
  }

  @Test("The admin listener goes first for those who ask there, and for nobody else")
  func admin() throws {
    let broker = AskableBroker(main: ["https://127.0.0.1:9"], admin: "0.0.0.0:10")
    let ways = try RunningBroker.ways(to: broker, asksAdmin: true)
    #expect(ways.map(\.url) == ["http://127.0.0.1:10", "https://127.0.0.1:9"])
    #expect(try RunningBroker.ways(to: broker, asksAdmin: false).map(\.url) == ["https://127.0.0.1:9"])
  }

  @Test("An address that wants a certificate is asked where there is no other")
  func certificate() throws {
    var broker = AskableBroker(main: ["https://a:1", "b:2"])
    broker.requiresCertificate = true
    #expect(try RunningBroker.ways(to: broker, asksAdmin: true).map(\.url) == ["http://b:2"])
    broker.main = ["https://a:1"]
    #expect(try RunningBroker.ways(to: broker, asksAdmin: true).map(\.url) == ["https://a:1"])
  }

  @Test(
    "A caller's key may end in a line break, and has none in the middle", arguments: ["tb_a\n", "tb_a\r\n", "tb_a"])
  func key(_ key: String) {
    #expect(throws: Never.self) { try RunningBroker(url: "http://a", environment: ["BROKER_CALLER_KEY": key]) }
    #expect(throws: RunningBroker.Unreachable.self) {
      try RunningBroker(url: "http://a", environment: ["BROKER_CALLER_KEY": "\(key)\r\nX: y"])
    }
  }

  @Test("Of a chain of certificates only the first is the broker's own")
  func certificates() throws {
    let file = FileManager.default.temporaryDirectory.appendingPathComponent("chain-\(UUID()).pem").path
    defer { try? FileManager.default.removeItem(atPath: file) }
    func pem(_ text: String) -> String { "-----BEGIN CERTIFICATE-----\n\(text)\n-----END CERTIFICATE-----\n" }
    try ("subject=a\n" + pem("own") + pem("authority")).write(toFile: file, atomically: true, encoding: .utf8)
    #expect(try RunningBroker.firstCertificate(in: file) == pem("own"))
    try "no certificate".write(toFile: file, atomically: true, encoding: .utf8)
    #expect(throws: RunningBroker.Unreachable.self) { try RunningBroker.firstCertificate(in: file) }
  }

  @Test("A Unix socket is named by an absolute path")
  func socket() throws {
    #expect(try RunningBroker(url: "unix:/run/a").url == "unix:/run/a")
    #expect(throws: RunningBroker.Unreachable.self) { try RunningBroker(url: "unix:run/a") }
  }
}
