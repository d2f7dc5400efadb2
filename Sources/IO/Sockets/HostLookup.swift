import Dispatch
import Glibc

/// What the system's resolver says of a host.
package enum HostLookup {
  /// There is no address, in the resolver's words.
  package struct Failure: Error {
    package let reason: String

    package init(reason: String) {
      self.reason = reason
    }
  }

  /// The host's addresses, in the order in which they would be tried (getaddrinfo(3)). Takes as long as resolv.conf(5) lets
  /// it; meanwhile a thread of its own waits, none that others need.
  package static func addresses(of host: String) async throws(Failure) -> [String] {
    let result = await withCheckedContinuation { continuation in
      DispatchQueue(label: "lookup").async { continuation.resume(returning: addressesNow(of: host)) }
    }
    return try result.get()
  }

  private static func addressesNow(of host: String) -> Result<[String], Failure> {
    var hints = unsafe addrinfo()
    unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var list: UnsafeMutablePointer<addrinfo>?
    let status = unsafe getaddrinfo(host, nil, &hints, &list)
    defer { if let list = unsafe list { unsafe freeaddrinfo(list) } }
    guard status == 0 else { return .failure(Failure(reason: unsafe String(cString: gai_strerror(status)))) }
    var addresses: [String] = []
    var next = unsafe list
    while let entry = unsafe next?.pointee {
      if let address = unsafe SocketAddress(entry)?.host, !addresses.contains(address) { addresses.append(address) }
      unsafe next = entry.ai_next
    }
    return .success(addresses)
  }
}
