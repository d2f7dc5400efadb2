import Basics
import BrokerCore

/// The values and claims of a store in an SQLite database, a row each, for one thread at a time. Other connections, and
/// other processes of this machine, may have it open, too. All times in it, and given here, are Unix times in
/// milliseconds.
final class StoreDatabase {
  /// The version of the format. The first was `FileFormat`.
  static let version: Int64 = 2
  /// Tells a store from the databases of other programs.
  private static let applicationID: Int64 = 0x7462_7374
  static let maxValueBytes = 64 << 10
  private static let highestCount = 1 << 60
  /// 256 MiB, in SQLite's pages of 4 KiB.
  static let maxPages = 1 << 16
  /// So many pages may be missing where a transaction finds no room: the longest value takes 17.
  private static let mostPagesAtOnce = 32

  enum Journal: String {
    /// Readers and the one who writes do not wait for each other, and a commit need not wait for the disk.
    case writeAhead = "WAL"
    /// None, for a file that is of no use before it is whole.
    case off = "OFF"
  }

  let connection: SQLiteConnection
  private let maxPages: Int
  /// How many transactions were written since the last checkpoint. Each is some four pages of the journal.
  private var written = 0
  private static let longestJournal = 250

  /// Whoever uses it waits for it no longer than `timeout`. Throws if it is another program's, which stays as it was.
  init(
    _ path: String, journal: Journal = .writeAhead, maxPages: Int = maxPages, timeout: Duration = .milliseconds(250)
  ) throws(SQLiteError) {
    connection = try SQLiteConnection(path)
    self.maxPages = maxPages
    let settings = [
      // Others write for far less than a millisecond. One that was stopped meanwhile must not keep callers waiting.
      "busy_timeout = \(min(150, timeout.milliseconds * 3 / 5))",
      // There may be no directory for temporary files.
      "temp_store = MEMORY",
      // In KiB. Little, because the system holds the file's pages, too; a file that is made is written once, with more.
      "cache_size = \(journal == .off ? -16384 : -256)",
      // What is read is not trusted.
      "cell_size_check = ON", "trusted_schema = OFF",
      // Commits go to the journal without waiting for the disk: a process that is killed loses none, because the system
      // has them, and the file stays sound even without power, which OFF would not promise. FULL would have callers
      // wait for the disk, for the sake of what can be had again from the tenant.
      "synchronous = NORMAL", "wal_autocheckpoint = 0", "journal_size_limit = 4194304",
      "max_page_count = \(maxPages)",
    ]
    for setting in settings { try connection.run("PRAGMA \(setting)") }
    // First, because the journal's kind is written to the file. Without one, it is yet to become a store.
    if journal != .off, try connection.number("PRAGMA application_id") != Self.applicationID {
      throw .unusable("it is no store of token-broker")
    }
    try connection.run("PRAGMA journal_mode = \(journal.rawValue)")
    if connection.isReadOnly { throw .unusable("it cannot be written to") }
  }

  /// Throws what is wrong with the file: it is a newer broker's, or damaged. Returns how many values it has.
  func check() throws(SQLiteError) -> Int {
    if try writtenVersion != Self.version { throw .unusable("it has a format that is not known here") }
    try connection.run("PRAGMA quick_check(1)") { row throws(SQLiteError) in
      let finding = row.text(0)
      if finding != "ok" { throw .unusable("it is damaged: \(finding)") }
    }
    _ = try connection.number("SELECT count(*) FROM claims")
    return try count
  }

  /// How many values it has.
  var count: Int {
    get throws(SQLiteError) { Int(try connection.number("SELECT count(*) FROM entries")) }
  }

  /// Which version of the format it has; 0 where that is unknown.
  var writtenVersion: Int64 {
    get throws(SQLiteError) { try connection.number("PRAGMA user_version") }
  }

  /// The path leads to another file by now, or to none.
  var hasMoved: Bool { connection.hasMoved }

  /// Makes the tables, in a transaction.
  func create() throws(SQLiteError) {
    let statements = [
      "PRAGMA application_id = \(Self.applicationID)", "PRAGMA user_version = \(Self.version)",
      "CREATE TABLE entries (name BLOB PRIMARY KEY NOT NULL, expiry INTEGER NOT NULL, value BLOB NOT NULL)",
      "CREATE INDEX entries_by_expiry ON entries (expiry)",
      """
      CREATE TABLE claims (name BLOB PRIMARY KEY NOT NULL, fence INTEGER NOT NULL, expiry INTEGER NOT NULL)
      WITHOUT ROWID
      """,
    ]
    for statement in statements { try connection.run(statement) }
  }

  // MARK: Values

  func load(_ names: [StoreName], now: Int64) throws(SQLiteError) -> [[UInt8]?] {
    try connection.transaction(.deferred) { () throws(SQLiteError) in try read(names, now) }
  }

  private func read(_ names: [StoreName], _ now: Int64) throws(SQLiteError) -> [[UInt8]?] {
    var values: [[UInt8]?] = []
    for name in names {
      var value: [UInt8]?
      try connection.run(
        "SELECT value FROM entries WHERE name = ?1 AND expiry > ?2", [.bytes(name.bytes), .number(now)]
      ) { value = $0.bytes(0) }
      values.append(value)
    }
    return values
  }

  /// As `Store.save`. Where nobody holds the claim any more, only names without a value get one: what is there is
  /// newer.
  func save(_ entries: [StoreEntry], settling claim: StoreClaim?, now: Int64) throws(SQLiteError) {
    try writing { () throws(SQLiteError) in
      var isHeld = true
      if let claim {
        let holder = try holder(of: claim.name, now)
        if let holder, holder != claim.fence { return }
        isHeld = holder != nil
        try release(claim)
      }
      for entry in entries {
        let expiry = now + max(1, entry.lifetime.milliseconds)
        try put(entry.name, entry.value, expiry: expiry, replacing: isHeld ? .max : now)
      }
    }
  }

  /// Puts a value under a name that has none, or one that expires at `replacing` at the latest.
  func put(
    _ name: StoreName, _ value: [UInt8], expiry: Int64, replacing last: Int64
  ) throws(SQLiteError) {
    try connection.run(
      """
      INSERT INTO entries (name, expiry, value) VALUES (?1, ?2, ?3)
      ON CONFLICT (name) DO UPDATE SET expiry = excluded.expiry, value = excluded.value WHERE expiry <= ?4
      """, [.bytes(name.bytes), .number(expiry), .bytes(value), .number(last)])
  }

  /// As `Store.count`. A count is a value, written in digits.
  func count(
    _ name: StoreName, adding count: Int, atLeast: Int, expiry: Int64, now: Int64
  ) throws(SQLiteError) -> Int {
    func present() throws(SQLiteError) -> Int {
      let value = try read([name], now).first ?? nil
      return min(value.flatMap { Int(String(decoding: $0, as: UTF8.self)) } ?? 0, Self.highestCount)
    }
    if count == 0 {
      let total = try present()
      if total >= atLeast { return total }
    }
    return try writing { () throws(SQLiteError) in
      let total = max(try present(), atLeast) + count
      try put(name, Array("\(total)".utf8), expiry: expiry, replacing: .max)
      return total
    }
  }

  func remove(_ names: [StoreName]) throws(SQLiteError) {
    try writing { () throws(SQLiteError) in
      for name in names { try connection.run("DELETE FROM entries WHERE name = ?1", [.bytes(name.bytes)]) }
    }
  }

  /// Takes out what expires soonest, a sixteenth of the bound or so.
  private func makeRoom() throws(SQLiteError) {
    try connection.run(
      """
      DELETE FROM entries WHERE rowid IN
      (SELECT rowid FROM entries ORDER BY expiry LIMIT 1 + (SELECT count(*) FROM entries) / 16)
      """)
  }

  /// Runs `body` in a transaction that writes; where that finds no room, once more after some was made.
  private func writing<Result>(_ body: () throws(SQLiteError) -> Result) throws(SQLiteError) -> Result {
    written += 1
    do throws(SQLiteError) {
      return try connection.transaction(.immediate, body)
    } catch {
      guard error.isFull else { throw error }
      let isAtBound = try connection.number("PRAGMA page_count") + Int64(Self.mostPagesAtOnce) >= maxPages
      if isAtBound { try makeRoom() } else { try emptyJournal() }
      return try connection.transaction(.immediate, body)
    }
  }

  /// Writes what makes no difference.
  func tryWriting() throws(SQLiteError) {
    try writing { () throws(SQLiteError) in try connection.run("PRAGMA user_version = \(Self.version)") }
  }

  /// Takes out some of what has expired, so that this takes no long time at once, and empties a long journal.
  func tidy(now: Int64) throws(SQLiteError) {
    try writing { () throws(SQLiteError) in
      try connection.run("DELETE FROM claims WHERE expiry <= ?1", [.number(now)])
      try connection.run(
        "DELETE FROM entries WHERE rowid IN (SELECT rowid FROM entries WHERE expiry <= ?1 ORDER BY expiry LIMIT 100)",
        [.number(now)])
    }
    if written >= Self.longestJournal { try emptyJournal() }
  }

  /// Brings into the file what the journal has, and waits for the disk, so that the journal can begin anew. Where
  /// somebody reads what was there before, it is left for the next time.
  func emptyJournal() throws(SQLiteError) {
    // Keeps those away who would write meanwhile, unlike PASSIVE: SQLite before 3.51.3 can lose what others commit
    // during a checkpoint (https://www.sqlite.org/wal.html#walresetbug).
    let isBusy = try connection.number("PRAGMA wal_checkpoint(FULL)") != 0
    if !isBusy { written = 0 }
  }

  // MARK: Claims

  func claim(
    _ claim: StoreClaim, for lease: Int64, loading names: [StoreName], now: Int64
  ) throws(SQLiteError) -> StoreAnswer {
    try writing { () throws(SQLiteError) in
      let values = try read(names, now)
      // Another process may have looked at its clock a little later. What lasts much longer than a lease was claimed
      // before the clock was set back.
      let expiry = try connection.number(
        "SELECT expiry FROM claims WHERE name = ?1 AND expiry > ?2 AND expiry <= ?3",
        [.bytes(claim.name.bytes), .number(now), .number(now + 2 * lease)])
      if expiry > 0 { return StoreAnswer(.taken(.milliseconds(expiry - now)), values) }
      try connection.run(
        "INSERT OR REPLACE INTO claims (name, fence, expiry) VALUES (?1, ?2, ?3)",
        [.bytes(claim.name.bytes), .number(Int64(claim.fence)), .number(now + lease)])
      return StoreAnswer(.granted(claim), values)
    }
  }

  func renew(_ claim: StoreClaim, for lease: Int64, now: Int64) throws(SQLiteError) -> Bool {
    try connection.run(
      "UPDATE claims SET expiry = ?3 WHERE name = ?1 AND fence = ?2",
      [.bytes(claim.name.bytes), .number(Int64(claim.fence)), .number(now + lease)])
    return connection.changes == 1
  }

  /// Gives a claim up, if it is still held.
  func release(_ claim: StoreClaim) throws(SQLiteError) {
    try connection.run(
      "DELETE FROM claims WHERE name = ?1 AND fence = ?2", [.bytes(claim.name.bytes), .number(Int64(claim.fence))])
  }

  /// The fencing value of whoever has the claim.
  private func holder(of name: StoreName, _ now: Int64) throws(SQLiteError) -> UInt64? {
    let fence = try connection.number(
      "SELECT fence FROM claims WHERE name = ?1 AND expiry > ?2", [.bytes(name.bytes), .number(now)])
    return fence > 0 ? UInt64(fence) : nil
  }

  /// The names that somebody has the claim of.
  func claimed(now: Int64) throws(SQLiteError) -> Set<StoreName> {
    var names: Set<StoreName> = []
    try connection.run("SELECT name FROM claims WHERE expiry > ?1", [.number(now)]) { row in
      let bytes = row.bytes(0)
      if bytes.count == 32 { names.insert(StoreName(bytes)) }
    }
    return names
  }
}
