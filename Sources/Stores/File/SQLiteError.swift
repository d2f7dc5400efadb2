import CSQLite

/// What SQLite could not do, and why.
struct SQLiteError: Error {
  /// An extended result code; its low byte is the primary one (https://www.sqlite.org/rescode.html).
  let code: Int32
  let reason: String

  /// Whether the file itself is at fault: it is damaged, or no database of ours. Else it is the disk, what others do,
  /// or the lack of something, and all that may pass.
  var isOfFile: Bool {
    switch code & 0xFF {
    case SQLITE_BUSY, SQLITE_LOCKED, SQLITE_PROTOCOL, SQLITE_INTERRUPT, SQLITE_NOMEM, SQLITE_FULL, SQLITE_IOERR,
      SQLITE_CANTOPEN, SQLITE_READONLY, SQLITE_PERM, SQLITE_NOLFS:
      false
    default: true
    }
  }

  /// There is no room, on the disk or within the bounds that were set.
  var isFull: Bool { code & 0xFF == SQLITE_FULL }

  /// Another process has had it locked for too long.
  var isBusy: Bool { code & 0xFF == SQLITE_BUSY }

  /// A file that is no store, or not one that can be used.
  static func unusable(_ reason: String) -> SQLiteError { SQLiteError(code: SQLITE_NOTADB, reason: reason) }
}
