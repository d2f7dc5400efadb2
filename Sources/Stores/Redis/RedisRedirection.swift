/// What a node of a cluster answers when a command is not for it, or not now.
enum RedisRedirection: Equatable {
  case moved(slot: Int, to: RedisTopology.Node?)
  /// For this once, because the slot is on its way there.
  case ask(RedisTopology.Node?)
  /// The keys are in two places while their slot is on its way.
  case tryAgain
  /// The slot is nobody's, or too many nodes are missing.
  case down
  /// The node is no primary any more. On a connection that was told READONLY it begins a script, and says so only where
  /// that writes: Redis 7.0 in the first of these words, Valkey 9.1 in the second.
  case demoted

  private static let demotions = ["READONLY", "ERR Attempted to access a non local key"]

  /// Whether an error is one.
  static func isOne(_ error: String) -> Bool {
    (["MOVED ", "ASK ", "TRYAGAIN", "CLUSTERDOWN"] + demotions).contains { error.hasPrefix($0) }
  }

  /// nil for any other error. `node` is the one that gave it.
  init?(_ error: String, from node: RedisTopology.Node) {
    let words = error.prefix(512).split(separator: " ")
    switch words.first {
    case "MOVED":
      guard words.count == 3, let slot = Int(words[1]), 0..<RedisSlot.count ~= slot else { return nil }
      self = .moved(slot: slot, to: Self.node(words[2], from: node))
    case "ASK":
      guard words.count == 3 else { return nil }
      self = .ask(Self.node(words[2], from: node))
    case "TRYAGAIN": self = .tryAgain
    case "CLUSTERDOWN": self = .down
    case _ where Self.demotions.contains { error.hasPrefix($0) }: self = .demoted
    default: return nil
    }
  }

  private static func node(_ text: Substring, from asked: RedisTopology.Node) -> RedisTopology.Node? {
    guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]) else { return nil }
    return RedisTopology.node(host: String(text[..<colon]), port: port, from: asked)
  }
}
