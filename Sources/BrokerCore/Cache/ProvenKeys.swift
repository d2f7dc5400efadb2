import Basics

/// Which keys have yielded a token, also when nothing else is remembered of them. What has done so lately is kept, as a
/// hash each, which nobody can aim at: it is seeded anew in each process.
struct ProvenKeys {
  private var hashes = RecentSet<Int>(capacity: 100_000)

  func contains(_ key: TokenKey) -> Bool { hashes.contains(key.hashValue) }

  mutating func insert(_ key: TokenKey) { hashes.insert(key.hashValue) }
}
