import IO
import Synchronization

@testable import HTTPServer

/// Answers with path and body; `/later` from another thread, `/held` when told, `/large` with 4 MB, `/who` with names,
/// `/from` with the place that it was sent from.
final class EchoHandler: RequestHandler {
  private let held: @Sendable (DeferredResponse) -> Void
  private let noteRefusal: @Sendable (_ peer: String, Rejection) -> Void
  private let noteFailure: @Sendable (_ peer: String, TLSHandshakeFailure) -> Void

  init(
    _ held: @escaping @Sendable (DeferredResponse) -> Void,
    refused: @escaping @Sendable (_ peer: String, Rejection) -> Void = { _, _ in },
    handshakeFailed: @escaping @Sendable (_ peer: String, TLSHandshakeFailure) -> Void = { _, _ in }
  ) {
    self.held = held
    noteRefusal = refused
    noteFailure = handshakeFailed
  }

  func handshakeFailed(_ failure: TLSHandshakeFailure, _ detail: String?, from peer: () -> String) {
    noteFailure(peer(), failure)
  }

  func refused(_ rejection: Rejection, from peer: () -> String) { noteRefusal(peer(), rejection) }

  func handle(_ request: Request, _ response: ResponseWriter) {
    let path = request.text(at: request.path)
    let answer = Response(200, body: Array("\(path) \(request.text(at: request.body))".utf8))
    switch path {
    case "/later":
      let exchange = response.deferred()
      Task { exchange.send(answer) }
    case "/held":
      let exchange = response.deferred()
      held(exchange)
    case "/large":
      response.send(Response(200, body: [UInt8](repeating: 0x61, count: 4_000_000)))
    case "/who":
      let names = request.certificate.map { $0.uris + $0.dnsNames + [$0.subject] } ?? ["nobody"]
      response.send(Response(200, body: Array(names.joined(separator: " ").utf8)))
    case "/from":
      response.send(Response(200, body: Array("\(request.peerName) \(request.source)".utf8)))
    default:
      response.send(answer)
    }
  }
}

/// What a handler answers for the server, as problem details.
extension RequestHandler {
  func problem(_ rejection: Rejection) -> Response {
    let error = rejection.kind == .overLimit ? "overloaded" : "invalid_request"
    return Response(
      rejection.status,
      fields: [("Content-Type", "application/problem+json")]
        + (rejection.kind == .overLimit ? [("Retry-After", "1")] : []),
      body: Array(#"{"error":"\#(error)"}"#.utf8))
  }
}

/// A server around `EchoHandler` on a port of its own, with what it holds.
final class Serving: Sendable {
  let server: Server
  private let exchanges: AsyncStream<DeferredResponse>
  private let continuation: AsyncStream<DeferredResponse>.Continuation
  /// What the server has refused, and from whom.
  let refusals = Mutex<[(peer: String, rejection: Rejection)]>([])
  /// The TLS handshakes that have failed, and with whom.
  let failures = Mutex<[(peer: String, failure: TLSHandshakeFailure)]>([])

  var port: UInt16 { server.addresses[0].port }

  private init(_ limits: Limits, _ tls: TLSContext?, _ proxies: [AddressRange]?, loops: Int) throws {
    server = try Server(
      label: "test", [Server.Binding(.loopback(0), tls: tls, proxies: proxies)], loops: loops, limits: limits)
    (exchanges, continuation) = AsyncStream.makeStream()
  }

  /// The next request to `/held`.
  func held() async -> DeferredResponse {
    for await exchange in exchanges { return exchange }
    preconditionFailure("the stream never ends")
  }

  /// Runs a server around `body`, then drains it and waits for its end. It is stopped if `body` throws.
  static func run(
    _ limits: Limits = Limits(), tls: TLSContext? = nil, proxies: [AddressRange]? = nil, loops: Int = 1,
    _ body: (Serving) async throws -> Void
  ) async throws {
    let serving = try Serving(limits, tls, proxies, loops: loops)
    async let running: Void = serving.server.run { [continuation = serving.continuation] _, _ in
      EchoHandler {
        continuation.yield($0)
      } refused: { peer, rejection in
        serving.refusals.withLock { $0.append((peer, rejection)) }
      } handshakeFailed: { peer, failure in
        serving.failures.withLock { $0.append((peer, failure)) }
      }
    }
    do {
      try await body(serving)
    } catch {
      serving.server.stop()
      throw error
    }
    serving.server.drain(timeout: .seconds(5))
    try await running
  }
}
