import BrokerCore

@testable import Stores

extension FuzzTarget {
  /// What a Redis server answers.
  static let redis = FuzzTarget(name: "redis") { bytes in
    let whole = try read([bytes[...]])
    for split in Splits.of(bytes) {
      let read = try read(split)
      try promise(
        "the split decides nothing: \(whole) \(read)", read.replies == whole.replies && read.fails == whole.fails)
    }
    for reply in whole.replies {
      let size = size(of: reply)
      try promise("a reply is bounded: \(size)", size <= bytes.count)
      if case .array(let parts) = reply {
        try promise("an array is short", parts.count <= RedisReader.longestArray && reply.levels <= 4)
      }
      if reply.isAnswer(of: .value), case .array(let parts) = reply {
        try promise("one value was asked for", parts.count == 1 && parts[0].levels == 0)
      }
      try readTopology(reply)
    }
    try readLittle(bytes.prefix(64), isSound: !whole.fails)
    try readURL(String(decoding: bytes, as: UTF8.self))
  }

  private static func read(_ pieces: [ArraySlice<UInt8>]) throws -> (replies: [RedisReply], fails: Bool) {
    guard var reader = RedisReader(longestReply: 1 << 12) else { throw BrokenPromise(description: "there is memory") }
    var replies: [RedisReply] = []
    do {
      for piece in pieces {
        try unsafe piece.withUnsafeBytes { try unsafe reader.feed($0) }
        while let reply = try reader.next() { replies.append(reply) }
      }
    } catch {
      return (replies, true)
    }
    return (replies, false)
  }

  /// With a low limit, and a byte at a time: what has no end yet is held up to the limit, and no reply is refused below
  /// it.
  private static func readLittle(_ bytes: ArraySlice<UInt8>, isSound: Bool) throws {
    let limit = 16
    guard var reader = RedisReader(longestReply: limit) else { throw BrokenPromise(description: "there is memory") }
    var held = 0
    for index in bytes.indices {
      held += 1
      do {
        try unsafe bytes[index...index].withUnsafeBytes { try unsafe reader.feed($0) }
        while try reader.next() != nil { held = 0 }
      } catch {
        return try promise("a short reply is read: \(held) bytes", held > limit || !isSound)
      }
      try promise("what is held is bounded: \(held) bytes", held <= limit)
    }
  }

  /// Nobody gets a slot but who is named.
  private static func readTopology(_ reply: RedisReply) throws {
    let node = RedisSettings.Server.tcp(host: "h", port: 1)
    if case .error(let text) = reply { _ = RedisRedirection(text, from: node) }
    guard let topology = RedisTopology(reply, from: node) else { return }
    for slot in [0, 1, RedisSlot.count - 1] {
      guard let shard = topology.shard(of: slot) else { continue }
      try promise("the owner of a slot is a node", topology.contains(shard.primary))
    }
  }

  private static func size(of reply: RedisReply) -> Int {
    switch reply {
    case .string(let bytes): bytes.count
    case .status(let text), .error(let text): text.utf8.count / 3
    case .integer, .none: 1
    case .array(let parts): parts.reduce(0) { $0 + size(of: $1) }
    }
  }

  /// Where a server is: what is shown of it names it, and no password.
  private static func readURL(_ text: String) throws {
    let settings: RedisSettings
    do throws(RedisSettings.Malformed) {
      settings = try RedisSettings(url: text)
    } catch {
      return try promise(
        "what is wrong is said without it", !error.description.isEmpty && error.description.utf8.count < 120)
    }
    switch settings.server {
    case .tcp(_, let port): try promise("a port is one", port > 0)
    case .primary(let name, let sentinels):
      try promise("a primary has a name, and Sentinels", !name.isEmpty && !sentinels.isEmpty)
    case .unix: return
    }
    let again: RedisSettings
    do throws(RedisSettings.Malformed) {
      again = try RedisSettings(url: "\(settings)")
    } catch {
      throw BrokenPromise(description: "what is shown is a URL: \(settings) \(error)")
    }
    try promise(
      "of the same server: \(settings)",
      again.server == settings.server && again.database == settings.database && again.usesTLS == settings.usesTLS)
    try promise("without its password", again.password == nil && again.user == nil)
  }
}

extension RedisReply {
  /// How many arrays it has within each other.
  fileprivate var levels: Int {
    if case .array(let parts) = self { 1 + (parts.map(\.levels).max() ?? 0) } else { 0 }
  }
}
