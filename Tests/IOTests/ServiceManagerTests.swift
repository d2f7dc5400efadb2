import Glibc
import Testing

@testable import IO

@Suite struct ServiceManagerTests {
  @Test("There is no service manager to tell where none says where", arguments: [nil, "", "x", "/", "vsock:2:1"])
  func none(_ socket: String?) {
    #expect(ServiceManager(socket.map { ["NOTIFY_SOCKET": $0] } ?? [:]) == nil)
  }

  @Test("A watchdog is told where it waits for this process")
  func watchdog() {
    func timeout(_ more: [String: String]) -> Duration? {
      ServiceManager(more.merging(["NOTIFY_SOCKET": "@abstract"]) { $1 })?.watchdogTimeout
    }
    #expect(timeout([:]) == nil && timeout(["WATCHDOG_USEC": "0"]) == nil && timeout(["WATCHDOG_USEC": "x"]) == nil)
    #expect(timeout(["WATCHDOG_USEC": "30000000"]) == .seconds(30))
    #expect(timeout(["WATCHDOG_USEC": "5", "WATCHDOG_PID": "\(getpid())"]) == .microseconds(5))
    #expect(timeout(["WATCHDOG_USEC": "5", "WATCHDOG_PID": "1"]) == nil)
  }

  @Test("An abstract name is as long as it is, and a path ends with a NUL")
  func names() throws {
    #expect(try #require(SocketAddress(datagramSocket: "@ab")).length == 2 + 3)
    #expect(try #require(SocketAddress(datagramSocket: "/ab")).path == "/ab")
  }
}
