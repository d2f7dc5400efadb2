/// What a server answers in RESP2, the protocol that every version of Redis and Valkey speaks: a value, or one level of
/// array.
enum RedisReply: Sendable, Equatable {
  case string([UInt8])
  case status(String)
  /// The server's own words: they can repeat what it was sent, so nobody is shown them.
  case error(String)
  case integer(Int64)
  case none
  case array([RedisReply])
}
