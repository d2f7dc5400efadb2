import ArgumentParser
import Basics
import HTTPClient
import OAuth
import IO

/// Where the running broker is, for the commands that talk to one.
struct BrokerLocation: ParsableArguments {
  @Option(help: "The broker's base URL. Default: the first address of BROKER_LISTEN, or http://127.0.0.1:8080.")
  var url: String?

  /// Without a slash at the end.
  var base: String {
    var base = url ?? Self.fromEnvironment(ProcessEnvironment.variables)
    while base.last == "/" { base.removeLast() }
    return base
  }

  static func fromEnvironment(_ environment: [String: String]) -> String {
    let addresses = environment["BROKER_LISTEN"]?.split { $0 == "," || $0.isWhitespace } ?? []
    let first = addresses.first { !$0.starts(with: "unix:") } ?? "127.0.0.1:8080"
    if first.starts(with: "https://") { return String(first) }
    // An address that means every interface is reached by way of the loopback one.
    for (every, loopback) in [("0.0.0.0:", "127.0.0.1:"), ("[::]:", "[::1]:")] where first.starts(with: every) {
      return "http://\(loopback)\(first.dropFirst(every.count))"
    }
    return "http://\(first)"
  }

  /// With the caller's key that BROKER_CALLER_KEY holds, if any: on the command line everybody could read it.
  func get(_ path: String, accept: String = "application/json") async throws -> HTTPClient.Response {
    let listen = ProcessEnvironment.variables["BROKER_LISTEN"] ?? ""
    if url == nil, listen.starts(with: "unix:"), !listen.contains(",") {
      complain("BROKER_LISTEN has only a Unix socket; give the broker's --url")
      throw ExitCode.failure
    }
    do {
      let client = try HTTPClient()
      var request = HTTPClient.Request(url: base + path, headers: [("Accept", accept)], timeout: .seconds(35))
      if let key = ProcessEnvironment.variables["BROKER_CALLER_KEY"], !key.isEmpty {
        // In clear it goes no further than this machine.
        guard base.starts(with: "https://") || Loopback.isHost(of: base) else {
          complain("\(base): a caller's key is sent over https:// or to this machine only")
          throw ExitCode.failure
        }
        request.authorization = Secret("Bearer \(key)".utf8)
      }
      return try await client.send(request)
    } catch {
      complain("\(base): \(error)")
      throw ExitCode.failure
    }
  }
}
