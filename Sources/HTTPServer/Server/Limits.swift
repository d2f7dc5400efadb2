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

  /// Lowers the limits on connections to what `descriptors` allow on so many addresses; half of them, and at most
  /// 1,024, stay for all else: requests to the tenant, files, the listeners themselves.
  package mutating func fit(descriptors: Int, addresses: Int) {
    let room = max(8, (descriptors - min(descriptors / 2, 1024)) / max(1, addresses))
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
