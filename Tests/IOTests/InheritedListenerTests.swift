import Glibc
import Testing

@testable import IO

/// One at a time: the descriptors handed over must have numbers that follow each other.
@Suite(.serialized) struct InheritedListenerTests {
  private let directory: Directory
  /// Beyond what other tests open, of which some open thousands.
  private static let first: Int32 = {
    ThisProcess.raiseDescriptorLimit()
    return Int32(min(ThisProcess.descriptorLimit, 1 << 16)) - 64
  }()

  init() throws { directory = try Directory() }

  /// Hands a socket over: what remains of it when the process is another, without the flag that would close it.
  private func handOver(_ socket: borrowing Descriptor, as number: Int32) -> Descriptor {
    let copy = Descriptor(fcntl(socket.number, F_DUPFD, number))
    #expect(copy.number == number, "taken by another test")
    return copy
  }

  /// What a supervisor would open: it blocks.
  private func listeningSocket(_ address: SocketAddress) throws -> Descriptor {
    let socket = Descriptor(Glibc.socket(address.family, Int32(SOCK_STREAM.rawValue), 0))
    try SystemCall.bind(socket.number, to: address)
    try SystemCall.listen(socket.number, backlog: 8)
    return socket
  }

  private func environment(_ changes: [String: String?] = [:]) -> [String: String] {
    let usual: [String: String?] = ["LISTEN_PID": "\(getpid())", "LISTEN_FDS": "2"]
    return usual.merging(changes) { $1 }.compactMapValues { $0 }
  }

  @Test("Sockets that were handed over are listened on under their names, and their files stay")
  func handedOver() throws {
    let first = Self.first
    let tcp = try listeningSocket(SocketAddress(parsing: "127.0.0.1:0"))
    let unix = try listeningSocket(directory.address())
    // From here on the listeners own the copies.
    for (index, number) in [tcp.number, unix.number].enumerated() {
      #expect(fcntl(number, F_DUPFD, first + Int32(index)) == first + Int32(index), "taken by another test")
    }
    do {
      let found = try Listener.inherited(environment(["LISTEN_FDNAMES": "main:admin"]), first: first)
      #expect(found.map(\.name) == ["main", "admin"])
      #expect(found[0].listener.address.port == (try SystemCall.localAddress(of: tcp.number).port))
      #expect(found[1].listener.address.description == "unix:\(directory.socketPath)")
      for (_, listener) in found {
        #expect(listener.isInherited)
        #expect(try listener.sibling() === listener)
        #expect(fcntl(listener.number, F_GETFD) & FD_CLOEXEC != 0)
        #expect(fcntl(listener.number, F_GETFL) & O_NONBLOCK != 0)
        #expect(listener.interest.contains(.exclusive))
        let client = try SystemCall.socket(family: listener.address.family)
        _ = try? SystemCall.connect(client.number, to: listener.address)
        listener.withdraw()
      }
      #expect(throws: InheritanceError.self, "owned already") {
        try Listener.inherited(environment(), first: first)
      }
    }
    #expect(fcntl(first, F_GETFD) == -1 && fcntl(first + 1, F_GETFD) == -1, "closed with the listeners")
    #expect(try directory.status?.isSocket == true)
    withExtendedLifetime((tcp.number, unix.number)) {}
  }

  @Test(
    "Variables that are meant for another process, or missing, hand nothing over",
    arguments: [
      ["LISTEN_PID": "\(Int32.max)"], ["LISTEN_PID": nil], ["LISTEN_FDS": nil], ["LISTEN_PID": nil, "LISTEN_FDS": nil],
    ])
  func nothing(_ changes: [String: String?]) throws {
    #expect(try Listener.inherited(environment(changes), first: Self.first).isEmpty)
  }

  @Test(
    "Variables that make no sense are refused",
    arguments: [
      (["LISTEN_PID": "me"], "LISTEN_PID"), (["LISTEN_PID": "0"], "LISTEN_PID"), (["LISTEN_FDS": ""], "LISTEN_FDS"),
      (["LISTEN_FDS": "0"], "LISTEN_FDS"), (["LISTEN_FDS": "-1"], "LISTEN_FDS"),
      (["LISTEN_FDS": "2147483647"], "LISTEN_FDS"), (["LISTEN_FDNAMES": "a:b:c"], "3 names"),
      ([:], "descriptor \(first)"),
    ] as [([String: String?], String)])
  func nonsense(_ changes: [String: String?], _ reason: String) {
    let error = #expect(throws: InheritanceError.self) {
      try Listener.inherited(environment(changes), first: Self.first)
    }
    #expect(error?.description.contains(reason) == true, "\(error?.description ?? "")")
  }

  @Test(
    "Descriptors that are no listening stream sockets are refused and stay open",
    arguments: ["file", "not listening", "packets", "abstract", "own"])
  func unfit(_ kind: String) throws {
    var socket: Descriptor
    switch kind {
    case "file": socket = try Descriptor.spare()
    case "not listening": socket = try SystemCall.socket(family: AF_INET)
    case "packets":
      socket = Descriptor(Glibc.socket(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue), 0))
      try SystemCall.bind(socket.number, to: directory.address())
      try SystemCall.listen(socket.number, backlog: 1)
    case "abstract":
      socket = try SystemCall.socket(family: AF_UNIX)
      // Bound to no name, a Unix socket gets an abstract one (unix(7), "Autobind feature").
      let nameless = SocketAddress(try directory.address().storage, length: socklen_t(MemoryLayout<sa_family_t>.size))
      try SystemCall.bind(socket.number, to: nameless)
      try SystemCall.listen(socket.number, backlog: 1)
    default: socket = try listeningSocket(directory.address())
    }
    socket = handOver(socket, as: Self.first)
    if kind == "own" { try SystemCall.setClosesOnExec(socket.number) }
    let error = #expect(throws: InheritanceError.self) { try Listener(inherited: socket.number) }
    #expect(error?.description.contains("descriptor \(Self.first)") == true)
    #expect(fcntl(socket.number, F_GETFD) != -1)
  }
}
