import Basics

/// What one peer may cost: sizes in bytes, deadlines absolute from their start, never extended by a trickle.
package struct Limits: Sendable {
  /// Connections at once to each address, over all loops. Those beyond are told 503 `overloaded`, but for probes.
  package var connections = 10_000
  /// Connections beyond the limit, likewise, whose request is still read; any more get a bare 503 at once.
  package var reserve = 128
  package var requestLineBytes = 8 * 1024
  /// Then the connection is closed behind its answer, so that callers spread over the replicas again.
  package var requestsPerConnection = 100_000
  /// Request line and header fields together.
  package var headBytes = 16 * 1024
  package var fields = 100
  package var bodyBytes = 16 * 1024
  /// From the first byte of a request, or from the connection's start, to the end of its header.
  package var headTimeout = Duration.seconds(10)
  package var bodyTimeout = Duration.seconds(10)
  /// From a whole request to its response.
  package var requestTimeout = Duration.seconds(30)
  /// For a response that the peer is slow to take.
  package var writeTimeout = Duration.seconds(10)
  /// Between requests on a kept connection.
  package var idleTimeout = Duration.seconds(75)
  /// For the peer to close after the server has said it will.
  package var lingerTimeout = Duration.seconds(2)

  package init() {}

  /// The fewest connections to each address that are worth listening for.
  private static let leastRoom = 8

  /// What is open in a process that serves nobody, which is 17 and what its loops have, with some to spare for a store,
  /// requests to the tenant, and files. A loop has an epoll, a mailbox and a mailbox for what it is told of tokens, and
  /// for each address a listener and a spare.
  private static func ownDescriptors(loops: Int, addresses: Int) -> Int { 24 + loops * (3 + 2 * addresses) }

  /// With fewer descriptors there is no serving.
  package static func leastDescriptors(loops: Int, addresses: Int) -> Int {
    ownDescriptors(loops: loops, addresses: addresses) + leastRoom * addresses
  }

  /// Lowers the limits on connections to what `descriptors` allow on so many addresses; half of them, and at most
  /// 1,024, or more where that many loops have more, stay for all else.
  package mutating func fit(descriptors: Int, loops: Int, addresses: Int) {
    let own = max(min(descriptors / 2, 1024), Self.ownDescriptors(loops: loops, addresses: addresses))
    let room = max(Self.leastRoom, (descriptors - own) / max(1, addresses))
    reserve = min(reserve, room / 4)
    connections = min(connections, room - reserve)
  }
}

/// `Limits` as a connection keeps to them: one for all that share them, with times in nanoseconds.
final class ConnectionLimits: Sendable {
  let sizes: Limits
  let headTime, bodyTime, requestTime, writeTime, idleTime, lingerTime: Int64

  init(_ limits: Limits) {
    sizes = limits
    headTime = limits.headTimeout.nanoseconds
    bodyTime = limits.bodyTimeout.nanoseconds
    requestTime = limits.requestTimeout.nanoseconds
    writeTime = limits.writeTimeout.nanoseconds
    idleTime = limits.idleTimeout.nanoseconds
    lingerTime = limits.lingerTimeout.nanoseconds
  }
}
