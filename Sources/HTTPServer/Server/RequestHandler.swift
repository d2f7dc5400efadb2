/// What a server does with requests. One handler a loop, made and called on that loop only.
package protocol RequestHandler: AnyObject {
  /// Answers through `response` now, or takes `response.later()` and answers that exchange from anywhere.
  ///
  /// `head`'s ranges lie in `bytes`, which are valid during the call.
  func handle(_ head: borrowing RequestHead, _ bytes: Span<UInt8>, _ response: ResponseWriter)

  /// Whether the request is answered even beyond the limit on connections, from what is kept in reserve.
  func isProbe(_ head: borrowing RequestHead, _ bytes: Span<UInt8>) -> Bool

  /// The server has answered with this status itself: the request was none, or beyond a limit, or in want of room.
  func refused(_ status: Int)
}

extension RequestHandler {
  package func isProbe(_ head: borrowing RequestHead, _ bytes: Span<UInt8>) -> Bool { false }

  package func refused(_ status: Int) {}
}
