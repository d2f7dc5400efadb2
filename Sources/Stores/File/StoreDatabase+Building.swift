import BrokerCore

extension StoreDatabase {
  /// Makes a database of the empty file at `path`, with what `fill` puts into it, and returns when it is on the disk.
  static func build(_ path: String, _ fill: (StoreDatabase) throws(SQLiteError) -> Void) throws(SQLiteError) {
    // What is taken over may be more than what comes later has room for.
    let database = try StoreDatabase(path, journal: .off, maxPages: 2 * maxPages)
    try database.connection.transaction(.immediate) { () throws(SQLiteError) in
      try database.create()
      try fill(database)
    }
    // So that whoever opens it need not, which nobody else may have it open for.
    try database.connection.run("PRAGMA journal_mode = \(Journal.writeAhead.rawValue)")
  }

  /// Hands to `body` what can be read of a damaged database: the rows before the first damage, and those behind the
  /// last.
  static func rescue(
    _ path: String, _ body: (FileFormat.Record) throws(SQLiteError) -> Void
  ) throws(SQLiteError) {
    for order in ["ASC", "DESC"] {
      var failure: SQLiteError?
      do throws(SQLiteError) {
        // A page that leads to itself has rows without end.
        return try SQLiteConnection(path).run(
          "SELECT name, expiry, value FROM entries ORDER BY rowid \(order) LIMIT 300000"
        ) { row throws(SQLiteError) in
          let (name, value) = (row.bytes(0), row.bytes(2))
          guard name.count == 32, (1...maxValueBytes).contains(value.count) else { return }
          let expiry = UInt64(clamping: row.number(1))
          do throws(SQLiteError) {
            try body(.init(name: StoreName(name), expiry: expiry, value: value))
          } catch {
            failure = error
            throw error
          }
        }
      } catch {
        if let failure { throw failure }
      }
    }
  }
}
