import CLinux
import Dispatch
import Foundation
import Synchronization
import TestSupport

/// A server on a Unix socket that answers as a test wants it to. Each connection is talked to on a thread of its own.
final class FakeRedis: Sendable {
  let socket: String
  private let directory: URL
  private let listener: Int32
  private let count = Shared()
  /// How many there have been.
  var connections: Int { count.value.load(ordering: .relaxed) }

  private final class Shared: Sendable {
    let value = Atomic(0)
  }

  /// `answer` is called for each command but those that a connection begins with, which are answered well.
  convenience init(_ answer: @escaping @Sendable ([String], Peer) -> Void) throws {
    try self.init { peer in
      while let command = peer.command() {
        switch command[0] {
        case "CLIENT": peer.send("+OK\r\n")
        case "CLUSTER": peer.send("-ERR This instance has cluster support disabled\r\n")
        case "PING": peer.send("+PONG\r\n")
        case "SUBSCRIBE": peer.send("*3\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n:1\r\n")
        default: answer(command, peer)
        }
      }
    }
  }

  init(connection: @escaping @Sendable (Peer) -> Void) throws {
    directory = try RedisServer.makeDirectory()
    socket = directory.appendingPathComponent("s").path
    listener = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: socket.utf8) }
    let status = unsafe withUnsafePointer(to: &address) { [listener] pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe bind(listener, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) | listen(listener, 100)
      }
    }
    if status != 0 { throw ChildProcess.Failure(description: "listen: errno \(errno)") }
    DispatchQueue(label: "fake-redis").async { [listener, count] in
      while true {
        let descriptor = accept4(listener, nil, nil, Int32(SOCK_CLOEXEC.rawValue))
        if descriptor < 0 { break }
        let number = count.value.add(1, ordering: .relaxed).newValue
        DispatchQueue(label: "fake-redis-connection").async { connection(Peer(descriptor, number: number)) }
      }
      close(listener)
    }
  }

  deinit {
    // Ends the waiting accept.
    shutdown(listener, Int32(SHUT_RDWR))
    try? FileManager.default.removeItem(at: directory)
  }

  /// The other end of a connection.
  final class Peer: Sendable {
    private let descriptor: Int32
    /// The number of the connection, from 1.
    let number: Int

    fileprivate init(_ descriptor: Int32, number: Int) {
      self.descriptor = descriptor
      self.number = number
      var limit = timeval(tv_sec: 30, tv_usec: 0)
      unsafe setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
      unsafe setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { close(descriptor) }

    func send(_ text: String) { send(Array(text.utf8)) }

    func send(_ bytes: [UInt8]) {
      var rest = bytes[...]
      while !rest.isEmpty {
        let count = unsafe rest.withUnsafeBytes {
          unsafe Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
        }
        if count <= 0 { return }
        rest = rest.dropFirst(count)
      }
    }

    /// The next command; nil when the client has hung up, or has sent none for half a minute.
    func command() -> [String]? {
      guard let count = line(after: "*").flatMap({ Int($0) }) else { return nil }
      var words: [String] = []
      for _ in 0..<count {
        guard let length = line(after: "$").flatMap({ Int($0) }), let word = bytes(length), bytes(2) != nil else {
          return nil
        }
        words.append(String(decoding: word, as: UTF8.self))
      }
      return words
    }

    /// Whether the peer has hung up within half a minute.
    func isLeft() -> Bool {
      var byte: UInt8 = 0
      return unsafe recv(descriptor, &byte, 1, 0) == 0
    }

    private func line(after mark: String) -> String? {
      var text: [UInt8] = []
      while let byte = bytes(1)?[0] {
        text.append(byte)
        if text.suffix(2) == [13, 10] {
          return String(decoding: text.dropLast(2), as: UTF8.self).split(separator: mark).first.map(String.init)
        }
      }
      return nil
    }

    private func bytes(_ count: Int) -> [UInt8]? {
      var buffer = [UInt8](repeating: 0, count: count)
      let got = count == 0 ? 0 : unsafe recv(descriptor, &buffer, count, Int32(MSG_WAITALL))
      return got == count ? buffer : nil
    }
  }
}
