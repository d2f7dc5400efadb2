import ArgumentParser
import OAuth
import Sockets

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
    let first = environment["BROKER_LISTEN"]?.split { $0 == "," || $0.isWhitespace }.first ?? "127.0.0.1:8080"
    // An address that means every interface is reached by way of the loopback one.
    for (every, loopback) in [("0.0.0.0:", "127.0.0.1:"), ("[::]:", "[::1]:")] where first.starts(with: every) {
      return "http://\(loopback)\(first.dropFirst(every.count))"
    }
    return "http://\(first)"
  }

  func get(_ path: String, accept: String = "application/json") async throws -> HTTPClient.Response {
    do {
      let client = try HTTPClient()
      return try await client.send(
        HTTPClient.Request(url: base + path, headers: [("Accept", accept)], timeout: .seconds(35)))
    } catch {
      complain("\(base): \(error)")
      throw ExitCode.failure
    }
  }
}
