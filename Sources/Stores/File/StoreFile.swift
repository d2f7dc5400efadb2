import Basics
import Glibc
import Logging
import IO
import BrokerCore

/// A store's file, for as long as this process has the lock on it. It is only ever replaced as a whole.
final class StoreFile: Sendable {
  static let maxBytes = 256 << 20

  private let path: String
  private let directory: StoreDirectory
  private let lock: StoreLock
  private let log: Logger

  /// Of those that were set aside.
  private static let keptCount = 3
  /// What is written at once.
  private static let chunkBytes = 1 << 18

  /// Throws why it cannot be had: another process has it, or something is wrong with its directory.
  init(_ path: String, log: Logger) throws(StoreError) {
    self.path = path
    self.log = log
    directory = StoreDirectory(of: path)
    try directory.check()
    lock = try StoreLock(path + ".lock")
    // What a process that was killed has left behind.
    try? FileSystem.unlink(replacement)
  }

  /// What is being written, until it takes the file's place.
  private var replacement: String { path + ".new" }

  /// False once another process may have locked it.
  var isHeld: Bool { lock.isHeld }

  /// What is in it. A file that is damaged, or none of ours, is set aside with a word in the log, and what could be read of
  /// it is returned. Throws if there is something that is no file, or that cannot be read now.
  func read() throws(StoreError) -> FileFormat.Contents {
    guard let status = try StoreError.explaining(path, { () throws(SystemError) in try FileSystem.status(of: path) })
    else { return .init() }
    try checkKind(of: status)
    if status.st_uid != geteuid() && status.st_uid != 0 {
      return try setAside("it belongs to user \(status.st_uid)")
    }
    if status.st_size > Self.maxBytes { return try setAside("it is over \(Self.maxBytes >> 20) MiB") }
    let bytes: [UInt8]
    do throws(SystemError) {
      let file = try FileSystem.open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
      tighten(file, status)
      bytes = try FileSystem.read(file, count: Int(status.st_size))
    } catch {
      if error.code == EACCES { return try setAside("\(error)") }
      throw StoreError("it cannot be read: \(error)")
    }
    let contents = FileFormat.parse(bytes)
    return switch contents.damage {
    case nil: contents
    // Where it can be found again, and moved back, once the newer broker is.
    case .newer(let version)?: try setAside("\(FileFormat.Damage.newer(version: version))", as: "version-\(version)")
    case .some(let damage): try setAside("\(damage)", saving: contents)
    }
  }

  private func checkKind(of status: stat) throws(StoreError) {
    switch status.st_mode & S_IFMT {
    case S_IFREG: return
    case S_IFDIR: throw StoreError("it is a directory, not the path of a file in one")
    case S_IFLNK: throw StoreError("it is a symbolic link")
    default: throw StoreError("it is no regular file")
    }
  }

  private func tighten(_ file: borrowing Descriptor, _ status: stat) {
    guard status.st_mode & 0o177 != 0, (try? FileSystem.setMode(of: file, 0o600)) != nil else { return }
    log.info(
      "the store's file was open to others, and is so no more",
      metadata: ["store": "file:\(path)", "mode": "\(Permissions(status.st_mode))"])
  }

  private func setAside(
    _ reason: String, as suffix: String? = nil, saving contents: FileFormat.Contents = .init()
  ) throws(StoreError) -> FileFormat.Contents {
    let place = "\(path).\(suffix ?? "corrupt-\(Self.timestamp)")"
    try StoreError.explaining(reason) { () throws(SystemError) in try FileSystem.rename(path, to: place) }
    directory.removeOldest("\(path).corrupt-", keeping: Self.keptCount)
    log.warning(
      "the store's file is set aside",
      metadata: [
        "store": "file:\(path)", "reason": "\(reason)", "moved_to": "\(place)",
        "values_kept": "\(contents.records.count)",
      ])
    return contents
  }

  /// In UTC, as part of a file's name.
  private static var timestamp: String {
    var seconds = Int(WallClock.now)
    var parts = unsafe tm()
    unsafe gmtime_r(&seconds, &parts)
    var text = [CChar](repeating: 0, count: 32)
    let count = unsafe strftime(&text, text.count, "%Y%m%dT%H%M%SZ", &parts)
    return String(decoding: text.prefix(count).map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  /// Replaces the file by one that has those of `entries`, `count` in number, that are not expired at `now`. When it returns,
  /// they are on the disk; if it throws, or the process dies meanwhile, there is the old file or the new one, and whole.
  func write(_ entries: [StoreName: StoredValues.Entry], count: Int, now: Instant) throws(StoreError) {
    // Nobody else writes here, but something may have been left behind.
    try? FileSystem.unlink(replacement)
    do throws(SystemError) {
      let file = try FileSystem.open(replacement, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600)
      try fill(file, entries, count, now)
      try FileSystem.rename(replacement, to: path)
      try directory.synchronize()
    } catch {
      try? FileSystem.unlink(replacement)
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
        try FileSystem.write(bytes, to: file)
        bytes.removeAll(keepingCapacity: true)
      }
    }
    try FileSystem.write(bytes, to: file)
    try FileSystem.synchronize(file)
  }
}
