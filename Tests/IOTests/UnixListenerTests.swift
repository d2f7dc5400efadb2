import Dispatch
import Glibc
import Synchronization
import Testing

@testable import IO

@Suite(.timeLimit(.minutes(1))) struct UnixListenerTests {
  private let directory: Directory

  init() throws { directory = try Directory() }

  /// The code of the error that `body` fails with.
  private func code(of body: () throws(SystemError) -> Void) -> Int32? {
    do throws(SystemError) {
      try body()
      return nil
    } catch {
      return error.code
    }
  }

  private func connect(to address: SocketAddress) throws(SystemError) -> Descriptor {
    let client = try SystemCall.socket(family: AF_UNIX)
    try SystemCall.connect(client.number, to: address)
    return client
  }

  private func accepts(_ listener: Listener) throws(SystemError) -> Bool { try listener.accept() != nil }

  @Test(
    "The file has the permissions asked for, whatever the umask", arguments: ["0660", "0600", "0666", "0777", "0000"])
  func permissions(_ mode: String) throws {
    let listener = try Listener(directory.address(mode: mode))
    #expect(try directory.status?.permissions == mode_t(mode, radix: 8))
    #expect(try directory.status?.isSocket == true)
    #expect(listener.address.description == "unix:\(directory.socketPath)")
  }

  @Test("The file is never more open than asked, not even while it is made")
  func neverMoreOpen() throws {
    final class Watch: Sendable {
      let isOver = Atomic(false)
      let sights = Atomic(0)
      let permissions = Atomic<UInt32>(0)
    }
    let watch = Watch()
    let address = try directory.address(mode: "0600")
    DispatchQueue.global().async { [path = directory.socketPath] in
      while !watch.isOver.load(ordering: .relaxed) {
        guard let status = try? SystemCall.status(of: path) else { continue }
        watch.permissions.bitwiseOr(status.permissions, ordering: .relaxed)
        watch.sights.add(1, ordering: .relaxed)
      }
    }
    defer { watch.isOver.store(true, ordering: .relaxed) }
    for round in 0..<1_000_000 where round < 2000 || watch.sights.load(ordering: .relaxed) < 1000 {
      _ = try Listener(address)
    }
    #expect(watch.sights.load(ordering: .relaxed) >= 1000)
    #expect(watch.permissions.load(ordering: .relaxed) == 0o600)
  }

  @Test("The socket that a process left behind when it died is replaced")
  func stale() throws {
    let address = try directory.address()
    do {
      let dead = try SystemCall.socket(family: AF_UNIX)
      try SystemCall.bind(dead.number, to: address)
      try SystemCall.listen(dead.number, backlog: 1)
    }
    #expect(try directory.status != nil)
    let listener = try Listener(address)
    let client = try connect(to: address)
    #expect(try accepts(listener))
    withExtendedLifetime(client) {}
  }

  @Test("A socket that a process listens on is in use, even if its queue is full", arguments: [false, true])
  func live(isFull: Bool) throws {
    let address = try directory.address()
    let other = try SystemCall.socket(family: AF_UNIX)
    try SystemCall.bind(other.number, to: address)
    try SystemCall.listen(other.number, backlog: 0)
    // The queue of the smallest backlog holds one.
    let client = try connect(to: address)
    if isFull { #expect(code { () throws(SystemError) in _ = try connect(to: address) } == EAGAIN) }
    if !isFull { _ = try SystemCall.accept(other.number) }
    #expect(code { () throws(SystemError) in _ = try Listener(address) } == EADDRINUSE)
    #expect(try directory.status?.isSocket == true)
    withExtendedLifetime((client.number, other.number)) {}
  }

  @Test(
    "A file that is no stream socket is left alone, and the error names it",
    arguments: ["file", "directory", "pipe", "link", "datagram"])
  func foreign(_ kind: String) throws {
    let path = directory.socketPath
    let address = try directory.address()
    let datagrams = Descriptor(socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0))
    switch kind {
    case "file": close(unsafe open(path, O_CREAT | O_WRONLY, 0o600))
    case "directory": unsafe mkdir(path, 0o700)
    case "pipe": unsafe mkfifo(path, 0o600)
    case "link": unsafe symlink("nowhere", path)
    default: try SystemCall.bind(datagrams.number, to: address)
    }
    let before = try #require(try directory.status)
    let code = code { () throws(SystemError) in _ = try Listener(address) }
    #expect(code == (kind == "datagram" ? EPROTOTYPE : EEXIST))
    let after = try #require(try directory.status)
    #expect(after.isSameFile(as: before) && after.mode == before.mode)
    if kind == "directory" { unsafe rmdir(path) }
    withExtendedLifetime(datagrams.number) {}
  }

  @Test("The file is removed with the last listener that shares the socket")
  func removal() throws {
    let address = try directory.address()
    var listeners = [try Listener(address)]
    listeners.append(try listeners[0].sibling())
    #expect(listeners[0] === listeners[1])
    listeners.removeFirst()
    #expect(try directory.status != nil)
    listeners.removeAll()
    #expect(try directory.status == nil)
  }

  @Test("A withdrawn listener cannot be reached, but still accepts the connections that wait")
  func withdrawal() throws {
    let address = try directory.address()
    let listener = try Listener(address)
    let client = try connect(to: address)
    listener.withdraw()
    #expect(try directory.status == nil)
    #expect(code { () throws(SystemError) in _ = try connect(to: address) } == ENOENT)
    #expect(try accepts(listener))
    withExtendedLifetime(client.number) {}
  }

  @Test("A file that has replaced the listener's own is not removed")
  func takenOver() throws {
    let address = try directory.address()
    var old: Listener? = try Listener(address)
    unsafe unlink(directory.socketPath)
    let new = try Listener(address)
    old?.withdraw()
    old = nil
    let client = try connect(to: address)
    #expect(try accepts(new))
    withExtendedLifetime(client.number) {}
  }

  @Test("A connection through TCP has no peer credentials")
  func tcpPeer() throws {
    let listener = try Listener(directory.address())
    let client = try connect(to: listener.address)
    let tcp = try Listener(SocketAddress(parsing: "127.0.0.1:0"))
    #expect(tcp.peer(of: client) == nil)
  }

  @Test("The peer of a Unix socket is known by its user and groups")
  func unixPeer() throws {
    let listener = try Listener(directory.address())
    let client = try connect(to: listener.address)
    guard let connection = try listener.accept(), let peer = listener.peer(of: connection) else {
      Issue.record("no connection, or no peer")
      return
    }
    #expect(peer.user == geteuid())
    #expect(peer.groups.first == getegid())
    var groups = [gid_t](repeating: 0, count: 65_536)
    let count = unsafe getgroups(Int32(groups.count), &groups)
    #expect(Set(peer.groups) == Set(groups.prefix(Int(count)) + [getegid()]))
    #expect(Set(peer.groups).count == peer.groups.count)
    withExtendedLifetime(client.number) {}
  }

  @Test("What is watched exclusively can be paused and watched again")
  func exclusive() throws {
    let listener = try Listener(directory.address())
    let client = try connect(to: listener.address)
    let epoll = try Epoll()
    try epoll.add(listener.number, for: listener.interest, token: 1)
    #expect(listener.interest.contains(.exclusive))
    #expect(try epoll.wait(milliseconds: 0) == 1)
    try epoll.modify(listener.number, for: .nothing, token: 1)
    #expect(try epoll.wait(milliseconds: 0) == 0)
    try epoll.modify(listener.number, for: listener.interest, token: 1)
    #expect(try epoll.wait(milliseconds: 0) == 1)
    withExtendedLifetime(client.number) {}
  }
}
