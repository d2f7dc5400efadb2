import Basics
import BrokerCore
import IO
import Logging

/// A store's file, for as long as this process has the lock on it. It is only ever replaced as a whole.
final class StoreFile: Sendable {
  static let maxBytes = 256 << 20

  private let path: String
  private let directory: StoreDirectory
  private let lock: StoreLock
  private let log: Logger

  /// How many files that were set aside are kept.
  private static let keptCount = 3
  /// How much is written at once.
  private static let chunkBytes = 1 << 18

  /// Throws why the file cannot be used: another process has it, or something is wrong with its directory.
  init(_ path: String, log: Logger) throws(StoreError) {
    self.path = path
    self.log = log
    directory = StoreDirectory(of: path)
    try directory.check()
    lock = try StoreLock(path + ".lock")
    // A process that was killed may have left this behind.
    try? SystemCall.unlink(replacement)
  }

  /// The path of the new file while it is written, until it replaces the old one.
  private var replacement: String { path + ".new" }

  /// False once another process may have locked it.
  var isHeld: Bool { lock.isHeld }

  /// What the file holds. One that is damaged or foreign is set aside, which is logged, and the records that could be
  /// read are returned. Throws if there is something that is no file, or that cannot be read now.
  func read() throws(StoreError) -> FileFormat.Contents {
    guard let status = try StoreError.explaining(path, { () throws(SystemError) in try SystemCall.status(of: path) })
    else { return .init() }
    try checkKind(of: status)
    if status.owner != ThisProcess.user && status.owner != 0 {
      return try setAside("it belongs to user \(status.owner)")
    }
    if status.size > Self.maxBytes { return try setAside("it is over \(Self.maxBytes >> 20) MiB") }
    let bytes: [UInt8]
    do throws(SystemError) {
      let file = try SystemCall.open(path, [.notFollowing, .nonBlocking])
      makePrivate(file, status)
      bytes = try SystemCall.read(file, count: status.size)
    } catch {
      if error.isAccessDenied { return try setAside("\(error)") }
      throw StoreError("it cannot be read: \(error)")
    }
    let contents = FileFormat.parse(bytes)
    return switch contents.damage {
    case nil: contents
    // From there it can be moved back once the newer broker is.
    case .newer(let version)?: try setAside("\(FileFormat.Damage.newer(version: version))", as: "version-\(version)")
    case .some(let damage): try setAside("\(damage)", saving: contents)
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

  private func makePrivate(_ file: borrowing Descriptor, _ status: FileStatus) {
    guard status.mode & 0o177 != 0, (try? SystemCall.setMode(of: file, 0o600)) != nil else { return }
    log.info(
      "the store's file was open to others, and is so no more",
      metadata: ["store": "file:\(path)", "mode": "\(status.modeText)"])
  }

  private func setAside(
    _ reason: String, as suffix: String? = nil, saving contents: FileFormat.Contents = .init()
  ) throws(StoreError) -> FileFormat.Contents {
    let place = "\(path).\(suffix ?? "corrupt-\(UTCDate(Int(WallClock.now)).compact)")"
    try StoreError.explaining(reason) { () throws(SystemError) in try SystemCall.rename(path, to: place) }
    directory.removeOldest("\(path).corrupt-", keeping: Self.keptCount)
    log.warning(
      "the store's file is set aside",
      metadata: [
        "store": "file:\(path)", "reason": "\(reason)", "moved_to": "\(place)",
        "values_kept": "\(contents.records.count)",
      ])
    return contents
  }

  /// Replaces the file by one that has those of `entries`, `count` in number, that are not expired at `now`. When it
  /// returns, they are on the disk. If it throws or the process dies, there is either the whole old file or the whole
  /// new one.
  func write(_ entries: [StoreName: StoredValues.Entry], count: Int, now: Instant) throws(StoreError) {
    // No other process writes here, but one that was killed may have left this behind.
    try? SystemCall.unlink(replacement)
    do throws(SystemError) {
      let file = try SystemCall.open(replacement, [.writing, .creating, .exclusive, .notFollowing], mode: 0o600)
      try fill(file, entries, count, now)
      try SystemCall.rename(replacement, to: path)
      try directory.synchronize()
    } catch {
      try? SystemCall.unlink(replacement)
      throw StoreError("it cannot be written: \(error)")
    }
  }

  private func fill(
    _ file: borrowing Descriptor, _ entries: [StoreName: StoredValues.Entry], _ count: Int, _ now: Instant
  ) throws(SystemError) {
    let unixNow = Int64(WallClock.now * 1000)
    var bytes: [UInt8] = []
    bytes.reserveCapacity(Self.chunkBytes + FileFormat.overheadBytes + FileFormat.maxValueBytes)
    FileFormat.appendHeader(count: count, to: &bytes)
    for (name, entry) in entries where entry.expiresAt > now {
      let expiry = unixNow + now.duration(to: entry.expiresAt).milliseconds
      FileFormat.append(.init(name: name, expiry: UInt64(clamping: expiry), value: entry.value), to: &bytes)
      if bytes.count >= Self.chunkBytes {
        try SystemCall.write(bytes, to: file)
        bytes.removeAll(keepingCapacity: true)
      }
    }
    try SystemCall.write(bytes, to: file)
    try SystemCall.synchronize(file)
  }
}
