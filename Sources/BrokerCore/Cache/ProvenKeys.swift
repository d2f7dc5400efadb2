/// Which keys have yielded a token, also when nothing else is remembered of them. What has done so lately is kept, as a
/// hash each, which nobody can aim at: it is seeded anew in each process.
struct ProvenKeys {
  /// In each generation; there are two.
  private static let capacity = 100_000

  private var recent: Set<Int> = []
  private var older: Set<Int> = []

  func contains(_ key: TokenKey) -> Bool {
    let hash = key.hashValue
    return recent.contains(hash) || older.contains(hash)
  }

  mutating func insert(_ key: TokenKey) {
    if recent.count >= Self.capacity { (recent, older) = ([], recent) }
    recent.insert(key.hashValue)
  }
}
