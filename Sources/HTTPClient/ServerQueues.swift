import Basics

/// The versions of HTTP that servers are told apart by.
enum HTTPVersion: Sendable {
  case http1, http2
}

/// Which requests curl is given, and which wait until their server has room. In curl they would wait too, but newer
/// versions of it count that wait as a part of connecting, and older ones not even against the request's timeout.
///
/// A value that takes the time, and knows of a request only which server it is for and until when it may wait.
struct ServerQueues<Waiting> {
  /// A scheme, host and port.
  typealias Name = String

  private struct Server {
    var version: HTTPVersion?
    /// Requests that curl has.
    var active = 0
    var queue: [(waiting: Waiting, deadline: Instant)] = []

    /// HTTP/1 takes a connection for each request, HTTP/2 some hundred requests on each. Of a server that has not said
    /// yet what it speaks a few are enough to find out.
    var room: Int {
      switch version {
      case nil: 4
      case .http1: 64
      case .http2: 400
      }
    }
  }

  private var servers: [Name: Server] = [:]
  /// What waits for any of them.
  private var queued = 0

  var isEmpty: Bool { queued == 0 }

  func version(of name: Name) -> HTTPVersion? { servers[name]?.version }

  /// Whether a server is being asked that takes a connection for each request.
  var needsManyConnections: Bool { servers.values.contains { $0.version == .http1 && $0.active > 0 } }

  /// Plain `http://` is HTTP/1 here: HTTP/2 is agreed on inside TLS.
  mutating func add(_ waiting: Waiting, to name: Name, deadline: Instant) {
    var server = servers.removeValue(forKey: name) ?? Server(version: name.hasPrefix("http://") ? .http1 : nil)
    server.queue.append((waiting, deadline))
    queued += 1
    servers[name] = server
  }

  /// Takes out what there is room for, the oldest of each server first; `finished` is told of the end of each.
  mutating func admit() -> [(waiting: Waiting, server: Name)] {
    var admitted: [(Waiting, Name)] = []
    for name in servers.keys {
      guard var server = servers[name], !server.queue.isEmpty, server.active < server.room else { continue }
      let count = min(server.room - server.active, server.queue.count)
      admitted += server.queue.prefix(count).map { ($0.waiting, name) }
      server.queue.removeFirst(count)
      queued -= count
      server.active += count
      servers[name] = server
    }
    return admitted
  }

  /// Takes out what has waited for too long.
  mutating func expire(now: Instant) -> [Waiting] {
    var expired: [Waiting] = []
    for name in servers.keys where servers[name]?.queue.contains(where: { $0.deadline <= now }) == true {
      expired += servers[name]?.queue.filter { $0.deadline <= now }.map(\.waiting) ?? []
      servers[name]?.queue.removeAll { $0.deadline <= now }
    }
    queued -= expired.count
    return expired
  }

  mutating func finished(_ name: Name) { servers[name]?.active -= 1 }

  /// A connection to the server, or an answer of it, has shown what it speaks.
  mutating func learn(_ version: HTTPVersion, of name: Name) { servers[name]?.version = version }
}
