import BrokerCore

/// An error that a server answers with, put into our own words: its words can repeat what it was sent, be that a
/// password.
struct RedisRefusal {
  /// The word in capitals that an error begins with; empty where there is none.
  let code: String
  /// The server does not know or does not allow the command, but nothing else is wrong.
  let isOfCommand: Bool
  /// The password is not, or no longer, the right one.
  var isOfLogin: Bool { code == "NOAUTH" || code == "WRONGPASS" }
  private let meaning: String?

  init(_ text: String) {
    // An older server wraps the error of a script's command into its own, which is `ERR`.
    let words = text.prefix(512).split(separator: " ").map { String($0.drop { $0 == "-" }) }
    let first = words.first ?? ""
    let isCode = (1...16).contains(first.utf8.count) && first.utf8.allSatisfy { 0x41...0x5A ~= $0 }
    let wrapped = first == "ERR" ? words.first { Self.meanings[$0] != nil } : nil
    code = wrapped ?? (isCode ? first : "")
    isOfCommand = code == "NOPERM" || text.lowercased().hasPrefix("err unknown")
    meaning = Self.sentences.first { text.hasPrefix($0.start) }?.meaning ?? Self.meanings[code]
  }

  /// `command` is what was refused, for the reader; `otherwise` is what an error without a code of its own means there.
  func error(of command: String, otherwise: String = "it answered with an error") -> StoreError {
    StoreError(
      "\(command) was refused: \(meaning ?? otherwise)\(code.isEmpty ? "" : " (\(code))")",
      isRefusal: !Self.passing.contains(code))
  }

  /// What a node of a cluster answers while others take over.
  private static let passing: Set<String> = ["ASK", "CLUSTERDOWN", "MOVED", "TRYAGAIN"]

  private static let sentences = [
    (start: "ERR max number of clients", meaning: "it has as many clients as it may have"),
    (start: "ERR unknown command", meaning: "it does not know the command, as a Sentinel would not"),
  ]

  private static let cluster = "it is a node of a cluster that does not tell who has the keys"
  private static let meanings = [
    "ASK": cluster, "CROSSSLOT": cluster, "MOVED": cluster,
    "BUSY": "it is busy with somebody's script",
    "CLUSTERDOWN": "too many nodes of the cluster are missing",
    "DENIED": "it lets in nobody but its own machine, because it has no password",
    "LOADING": "it is still loading its data",
    "MASTERDOWN": "it is a replica that has lost its primary",
    "MISCONF": "it writes nothing more because it cannot save to its disk",
    "NOAUTH": "it demands a password",
    "NOPERM": "the user may not do that",
    "NOREPLICAS": "it has too few replicas to write",
    "OOM": "its memory is full",
    "READONLY": "it is a replica, which cannot be written to",
    "TRYAGAIN": "the keys are on their way to another node of the cluster",
    "WRONGPASS": "the user or the password is wrong",
    "WRONGTYPE": "under one of the keys is something of another kind",
  ]
}
