import CSQLite
import IO

/// A connection to an SQLite database, for one thread at a time. Statements are prepared once, and kept.
@safe final class SQLiteConnection {
  enum Value {
    case number(Int64)
    case bytes([UInt8])
  }

  /// A row of an answer, while it is looked at; columns count from 0.
  @safe struct Row {
    fileprivate let statement: OpaquePointer

    func number(_ column: Int32) -> Int64 { unsafe sqlite3_column_int64(statement, column) }

    /// The bytes of a blob or a text.
    func bytes(_ column: Int32) -> [UInt8] {
      guard let start = unsafe sqlite3_column_blob(statement, column) else { return [] }
      let count = unsafe Int(sqlite3_column_bytes(statement, column))
      return unsafe Array(UnsafeRawBufferPointer(start: start, count: count))
    }

    func text(_ column: Int32) -> String { String(decoding: bytes(column), as: UTF8.self) }
  }

  private let database: OpaquePointer
  private var statements = unsafe [String: OpaquePointer]()

  /// Opens the file at an absolute path, which must exist; it may be empty.
  init(_ path: String) throws(SQLiteError) {
    var opened: OpaquePointer?
    let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE
    let code = unsafe sqlite3_open_v2(path, &opened, flags, nil)
    guard let opened = unsafe opened else { throw SQLiteError(code: SQLITE_NOMEM, reason: "out of memory") }
    unsafe database = opened
    if code != SQLITE_OK { throw failure(code) }
  }

  deinit {
    unsafe statements.values.forEach { unsafe sqlite3_finalize($0) }
    unsafe sqlite3_close_v2(database)
  }

  /// Whether writing is impossible, because of the file's permissions or what its header says.
  var isReadOnly: Bool { unsafe sqlite3_db_readonly(database, "main") == 1 }

  /// Whether the path leads to another file by now, or to none.
  var hasMoved: Bool {
    var hasMoved: Int32 = 0
    let code = unsafe sqlite3_file_control(database, "main", SQLITE_FCNTL_HAS_MOVED, &hasMoved)
    return code == SQLITE_OK && hasMoved != 0
  }

  /// How many rows the last statement has changed that changes any.
  var changes: Int64 { unsafe sqlite3_changes64(database) }

  /// Runs a statement with `values` for its parameters, and shows `body` each row of the answer.
  func run(
    _ sql: String, _ values: [Value] = [], _ body: (Row) throws(SQLiteError) -> Void = { _ in }
  ) throws(SQLiteError) {
    let statement = try unsafe prepared(sql)
    defer { unsafe sqlite3_reset(statement) }
    for (index, value) in values.enumerated() {
      let code =
        switch value {
        case .number(let number): unsafe sqlite3_bind_int64(statement, Int32(index + 1), number)
        case .bytes(let bytes):
          unsafe bytes.withUnsafeBytes {
            unsafe csqlite_bind_blob(statement, Int32(index + 1), $0.baseAddress, Int32($0.count))
          }
        }
      if code != SQLITE_OK { throw failure(code) }
    }
    while true {
      switch unsafe sqlite3_step(statement) {
      case SQLITE_ROW: try body(unsafe Row(statement: statement))
      case SQLITE_DONE: return
      case let code: throw failure(code)
      }
    }
  }

  /// The first column of a statement's last row; 0 where there is no row.
  func number(_ sql: String, _ values: [Value] = []) throws(SQLiteError) -> Int64 {
    var number: Int64 = 0
    try run(sql, values) { number = $0.number(0) }
    return number
  }

  /// What of a database is locked from the beginning of a transaction on.
  enum Lock: String {
    /// Nothing but its present state, for those that read.
    case deferred = "DEFERRED"
    /// All that others could write, for those that write what depends on what they read.
    case immediate = "IMMEDIATE"
  }

  /// Runs `body` in a transaction, of which nothing stays if it throws.
  func transaction<Result>(
    _ lock: Lock, _ body: () throws(SQLiteError) -> Result
  ) throws(SQLiteError) -> Result {
    try run("BEGIN \(lock.rawValue)")
    do throws(SQLiteError) {
      let result = try body()
      try run("COMMIT")
      return result
    } catch {
      // Some errors have ended it.
      if unsafe sqlite3_get_autocommit(database) == 0 { try? run("ROLLBACK") }
      throw error
    }
  }

  private func prepared(_ sql: String) throws(SQLiteError) -> OpaquePointer {
    if let statement = unsafe statements[sql] { return unsafe statement }
    var prepared: OpaquePointer?
    let code = unsafe sqlite3_prepare_v2(database, sql, -1, &prepared, nil)
    guard code == SQLITE_OK, let statement = unsafe prepared else { throw failure(code) }
    unsafe statements[sql] = statement
    return unsafe statement
  }

  private func failure(_ code: Int32) -> SQLiteError {
    var reason = unsafe String(cString: sqlite3_errmsg(database))
    let cause = unsafe sqlite3_system_errno(database)
    if [SQLITE_IOERR, SQLITE_CANTOPEN].contains(code & 0xFF), cause != 0 {
      reason += ": \(SystemError("", cause).reason)"
    }
    return SQLiteError(code: code, reason: reason)
  }
}
