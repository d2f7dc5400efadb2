import TokenBroker

/// An error that a server answers with, in our own words: its words can repeat what it was sent, be that a password.
enum RedisRefusal {
  /// `command` is what was refused, for the reader; `otherwise` is what an error without a code of its own means there.
  static func error(
    _ text: String, of command: String, otherwise: String = "it answered with an error"
  ) -> StoreError {
    let code = code(of: text)
    let meaning = meanings[code] ?? otherwise
    return StoreError("\(command) was refused: \(meaning)\(code.isEmpty ? "" : " (\(code))")")
  }

  private static let cluster = "it is a node of a Redis Cluster, which is not supported"
  private static let meanings = [
    "ASK": cluster, "CLUSTERDOWN": cluster, "CROSSSLOT": cluster, "MOVED": cluster, "TRYAGAIN": cluster,
    "BUSY": "it is busy with somebody's script",
    "DENIED": "it lets in nobody but its own machine, because it has no password",
    "LOADING": "it is still loading its data",
    "MASTERDOWN": "it is a replica that has lost its primary",
    "MISCONF": "it writes nothing more because it cannot save to its disk",
    "NOAUTH": "it demands a password",
    "NOPERM": "the user may not do that",
    "NOREPLICAS": "it has too few replicas to write",
    "OOM": "its memory is full",
    "READONLY": "it is a replica, which cannot be written to",
    "WRONGPASS": "the user or the password is wrong",
    "WRONGTYPE": "under one of the keys is something of another kind",
  ]

  /// The word in capitals that an error begins with. An older server wraps that of a script's error in its own `ERR`.
  private static func code(of text: String) -> String {
    let words = text.prefix(512).split(separator: " ").map { $0.drop { $0 == "-" } }
    let known = words.first { meanings[String($0)] != nil }
    if words.first == "ERR", let known { return String(known) }
    guard let first = words.first, first.utf8.count <= 16, first.utf8.allSatisfy({ 0x41...0x5A ~= $0 }) else {
      return ""
    }
    return String(first)
  }
}
