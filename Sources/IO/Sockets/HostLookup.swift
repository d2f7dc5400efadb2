import Dispatch
import Glibc

/// The addresses that the system's resolver has for a host.
package enum HostLookup {
  /// Why there is no address, in the resolver's words.
  package struct Failure: Error {
    package let reason: String

    package init(reason: String) { self.reason = reason }
  }

  /// The host's addresses, in the order in which they would be tried (getaddrinfo(3)). Takes as long as resolv.conf(5)
  /// lets it; meanwhile a thread of its own waits, none that others need.
  package static func addresses(of host: String) async throws(Failure) -> [String] {
    let result = await withCheckedContinuation { continuation in
      DispatchQueue(label: "lookup").async {
        continuation.resume(returning: Result { () throws(Failure) in try resolve(host) })
      }
    }
    return try result.get().map(\.host).reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
  }

  /// The host's addresses with this port, one at least, in the order in which to try them (RFC 6724). Blocks for as
  /// long as the resolver likes.
  static func resolve(_ host: String, port: UInt16 = 0, forListening: Bool = false) throws(Failure) -> [SocketAddress] {
    var hints = unsafe addrinfo()
    unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    unsafe hints.ai_flags = AI_NUMERICSERV | (forListening ? AI_PASSIVE : 0)
    var list: UnsafeMutablePointer<addrinfo>?
    let status = unsafe getaddrinfo(host, String(port), &hints, &list)
    defer { if let list = unsafe list { unsafe freeaddrinfo(list) } }
    var addresses: [SocketAddress] = []
    var next = unsafe status == 0 ? list : nil
    while let entry = unsafe next?.pointee {
      if let address = unsafe SocketAddress(entry) { addresses.append(address) }
      unsafe next = entry.ai_next
    }
    if addresses.isEmpty { throw Failure(reason: unsafe String(cString: gai_strerror(status))) }
    return addresses
  }
}
