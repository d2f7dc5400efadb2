import Basics
import Glibc

/// The service manager that started this process, such as systemd, which wants to be told how the process is doing
/// (sd_notify(3)).
package struct ServiceManager: Sendable {
  private let socket: SocketAddress
  /// Within so long it wants to hear that the process is well, again and again; nil: it does not.
  package let watchdogTimeout: Duration?

  /// nil where there is none that wants to be told.
  package init?(_ environment: [String: String]) {
    guard let name = environment["NOTIFY_SOCKET"], let socket = SocketAddress(datagramSocket: name) else { return nil }
    self.socket = socket
    let isMeant = environment["WATCHDOG_PID"].map { Int32($0) == getpid() } ?? true
    let microseconds = environment["WATCHDOG_USEC"].flatMap(Int.init)
    watchdogTimeout = isMeant ? microseconds.flatMap { $0 > 0 ? .microseconds($0) : nil } : nil
  }

  /// It serves now, or again.
  package func ready(_ status: String) { tell("READY=1\nSTATUS=\(status)") }

  /// It reads its configuration again; `ready` tells when it has.
  package func reloading() {
    var now = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &now)
    let microseconds = now.tv_sec * 1_000_000 + now.tv_nsec / 1000
    tell("RELOADING=1\nMONOTONIC_USEC=\(microseconds)\nSTATUS=Reading the configuration again")
  }

  package func stopping() { tell("STOPPING=1\nSTATUS=Answering what is in flight") }

  package func isWell() { tell("WATCHDOG=1") }

  /// What cannot be told is left untold: there is nobody else to tell.
  private func tell(_ message: String) { try? SystemCall.send(Array(message.utf8), to: socket) }
}
