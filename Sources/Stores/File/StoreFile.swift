import Basics
import BrokerCore
import IO
import Logging

/// The file of a store: what may stand in its place, and what becomes of it if it is something else. It is made and
/// replaced as a whole, under another name.
struct StoreFile: Sendable {
  /// What was wrong with a file while it was used.
  struct Suspicion: Sendable {
    let reason: String
    let file: FileStatus
  }

  /// A file that was moved out of the way.
  struct SetAside: Sendable {
    let reason: String
    let path: String

    /// Whether it is still there.
    var exists: Bool { (try? SystemCall.status(of: path)) ?? nil != nil }
  }

  /// A sound database, how many values it has, and what it has taken the place of, if anything.
  struct Opened {
    let database: StoreDatabase
    let count: Int
    var aside: SetAside?
  }

  /// Why what stands in the file's place cannot be used, and has to give way.
  private struct Fault: Error {
    /// nil if there is nothing.
    var reason: String?
    /// Whether it may be read.
    var isReadable = true
    /// What is put behind its name then; nil for the time.
    var suffix: String?

    /// Whether there may be values to take over.
    var hasValues: Bool { reason != nil && isReadable }
  }

  let path: String
  /// How long whoever uses it waits for it.
  let timeout: Duration
  let log: Logger

  /// How many files that were set aside are kept.
  private static let keptCount = 3
  /// What SQLite puts behind the names of its journals.
  private static let journals = ["-journal", "-wal", "-shm"]

  private var directory: StoreDirectory { StoreDirectory(of: path) }
  private var lock: String { path + ".lock" }
  /// The path of a new file while it is written, until it replaces the old one.
  private var replacement: String { path + ".new" }

  /// Opens the file and checks it. One that is missing is made; one that is damaged, or that `suspicion` is of, is
  /// set aside, which is logged, and what can be read of it is in a new one. Throws if none can be used now: something
  /// else is in its place, or something is wrong with its directory or the disk.
  func open(distrusting suspicion: Suspicion? = nil) throws(StoreError) -> Opened {
    try directory.check()
    let found = try StoreLock.hold(lock, .shared) { () throws(StoreError) in
      // Nobody is writing it now, but a process that was killed may have left it behind.
      removeReplacement()
      return try look(suspicion)
    }
    if case .success(let opened) = found { return opened }
    return try StoreLock.hold(lock, .exclusive) { () throws(StoreError) in
      // Another process may have mended it meanwhile.
      guard case .failure(let fault) = try look(suspicion) else { return try opened() }
      let aside = try replace(fault)
      var opened = try opened()
      opened.aside = aside
      return opened
    }
  }

  /// What is to be distrusted where the file that `database` has open is damaged; nil if it is not in its place any
  /// more.
  func suspicion(of database: StoreDatabase, _ reason: String) -> Suspicion? {
    guard let status = (try? SystemCall.status(of: path)) ?? nil, !database.hasMoved else { return nil }
    return Suspicion(reason: reason, file: status)
  }

  /// Returns when what was committed is on the disk, where that is possible.
  func synchronize() {
    // Only the journal's: closing the file itself would end SQLite's locks on it.
    if let journal = try? SystemCall.open(path + "-wal", .reading) { try? SystemCall.synchronize(journal) }
    try? directory.synchronize()
  }

  private func opened() throws(StoreError) -> Opened {
    switch try look(nil) {
    case .success(let opened): return opened
    case .failure(let fault): throw StoreError(fault.reason ?? "it is gone")
    }
  }

  // MARK: What is there

  private func look(_ suspicion: Suspicion?) throws(StoreError) -> Result<Opened, Fault> {
    let status = try StoreError.explaining(path) { () throws(SystemError) in try SystemCall.status(of: path) }
    guard let status, status.size > 0 || status.kind != .file else { return .failure(Fault()) }
    try checkKind(of: status)
    if status.owner != ThisProcess.user && status.owner != 0 {
      return .failure(Fault(reason: "it belongs to user \(status.owner)", isReadable: false))
    }
    makePrivate(status)
    if let suspicion, suspicion.file.isSameFile(as: status) { return .failure(Fault(reason: suspicion.reason)) }
    var version = StoreDatabase.version
    do throws(SQLiteError) {
      let database = try StoreDatabase(path, timeout: timeout)
      version = try database.writtenVersion
      return .success(Opened(database: database, count: try database.check()))
    } catch {
      if version > StoreDatabase.version {
        // From there it can be moved back once the newer broker is.
        let reason = "a newer token-broker has written it (version \(version))"
        return .failure(Fault(reason: reason, suffix: "version-\(version)"))
      }
      if error.isOfFile { return .failure(Fault(reason: error.reason)) }
      if !isAccessible { return .failure(Fault(reason: error.reason, isReadable: false)) }
      throw StoreError("it cannot be opened: \(error.reason)")
    }
  }

  private func checkKind(of status: FileStatus) throws(StoreError) {
    switch status.kind {
    case .file: return
    case .directory: throw StoreError("it is a directory, not the path of a file in one")
    case .link: throw StoreError("it is a symbolic link")
    case .socket, .other: throw StoreError("it is no regular file")
    }
  }

  /// Whether this process may read it. To be asked only while no connection of this process is open: closing a file
  /// ends all locks that a process has on it (fcntl(2)).
  private var isAccessible: Bool {
    do throws(SystemError) {
      _ = try SystemCall.open(path, [.notFollowing, .nonBlocking])
      return true
    } catch {
      return !error.isAccessDenied
    }
  }

  private func makePrivate(_ status: FileStatus) {
    guard status.mode & 0o177 != 0, (try? SystemCall.setMode(of: path, 0o600)) != nil else { return }
    log.info(
      "the store's file was open to others, and is so no more",
      metadata: ["store": "file:\(path)", "mode": "\(status.modeText)"])
  }

  // MARK: What becomes of it

  /// Puts a new file in its place, with what can be taken over.
  private func replace(_ fault: Fault) throws(StoreError) -> SetAside? {
    defer { removeReplacement() }
    let built = try build(insteadOf: fault)
    let reason = built.isOfFormer ? built.damage?.description : fault.reason
    let aside = reason.map { reason in
      let suffix = built.isOfFormer ? nil : fault.suffix
      return SetAside(
        reason: reason, path: "\(path).\(suffix ?? "corrupt-\(UTCDate(Int(WallClock.now)).compact)")")
    }
    try StoreError.explaining(reason ?? "it cannot be made") { () throws(SystemError) in
      if let aside { try SystemCall.rename(path, to: aside.path) }
      // They are of the old file, and would be taken for the new one's.
      for suffix in Self.journals { try? SystemCall.unlink(path + suffix) }
      try SystemCall.rename(replacement, to: path)
      try directory.synchronize()
    }
    if let aside {
      directory.removeOldest("\(path).corrupt-", keeping: Self.keptCount)
      log.warning(
        "the store's file is set aside",
        metadata: [
          "store": "file:\(path)", "reason": "\(aside.reason)", "moved_to": "\(aside.path)",
          "values_kept": "\(built.count)",
        ])
    } else if built.isOfFormer {
      log.info("the store's file is a database now", metadata: ["store": "file:\(path)", "values": "\(built.count)"])
    }
    return aside
  }

  /// What a new file was made of.
  private struct Built {
    var count = 0
    /// Whether it was a file of brokers before 0.2, and what was wrong with that.
    var isOfFormer = false
    var damage: FileFormat.Damage?
  }

  /// Writes the replacement.
  private func build(insteadOf fault: Fault) throws(StoreError) -> Built {
    let former = fault.hasValues ? try formerFile() : nil
    try StoreError.explaining("it cannot be written") { () throws(SystemError) in
      _ = try SystemCall.open(replacement, [.writing, .creating, .exclusive, .notFollowing], mode: 0o600)
    }
    let now = Int64(WallClock.now * 1000)
    var built = Built(isOfFormer: former != nil)
    do throws(SQLiteError) {
      try StoreDatabase.build(replacement) { database throws(SQLiteError) in
        func keep(_ record: FileFormat.Record) throws(SQLiteError) {
          let expiry = Int64(clamping: record.expiry)
          if expiry > now { try database.put(record.name, record.value, expiry: expiry, replacing: .max) }
        }
        if let former {
          built.damage = try Self.read(former, keep)
        } else if fault.hasValues {
          try StoreDatabase.rescue(path, keep)
        }
        built.count = try database.count
      }
      return built
    } catch {
      throw StoreError("it cannot be written: \(error.reason)")
    }
  }

  /// What brokers before 0.2 have left; nil if it is something else. As `isAccessible`, it is for when no connection is
  /// open.
  private func formerFile() throws(StoreError) -> [UInt8]? {
    try StoreError.explaining("it cannot be read") { () throws(SystemError) in
      let file = try SystemCall.open(path, [.notFollowing, .nonBlocking])
      let start = try SystemCall.read(file, count: FileFormat.magic.count)
      return start == FileFormat.magic ? start + (try SystemCall.read(file, count: FileFormat.maxBytes)) : nil
    }
  }

  /// Hands the records to `keep`, up to the first thing that is wrong, and returns what that is.
  private static func read(
    _ bytes: [UInt8], _ keep: (FileFormat.Record) throws(SQLiteError) -> Void
  ) throws(SQLiteError) -> FileFormat.Damage? {
    var format = FileFormat(bytes)
    while true {
      let record: FileFormat.Record?
      do throws(FileFormat.Damage) { record = try format.next() } catch { return error }
      guard let record else { return nil }
      try keep(record)
    }
  }

  private func removeReplacement() {
    for suffix in [""] + Self.journals { try? SystemCall.unlink(replacement + suffix) }
  }
}
