/// The ids that stand for others in this process's user namespace (user_namespaces(7)): the kernel shows one and the
/// same for every id that the namespace does not map.
package enum UserNamespace {
  /// nil where all users are mapped: then the id is that of one user, like any other.
  package static var unmappedUser: UInt32? { standIn(for: "uid") }
  package static var unmappedGroup: UInt32? { standIn(for: "gid") }

  private static func standIn(for kind: String) -> UInt32? {
    standIn(
      map: text("/proc/self/\(kind)_map"), overflow: text("/proc/sys/kernel/overflow\(kind)"))
  }

  private static func text(_ file: String) -> String {
    (try? File.read(file)).map { String(decoding: $0, as: UTF8.self) } ?? ""
  }

  /// `map` has a line for each range of ids: the first inside, the first outside, and how many.
  static func standIn(map: String, overflow: String) -> UInt32? {
    let mapped = map.split(separator: "\n").reduce(0) { $0 + (Int($1.split(separator: " ").last ?? "") ?? 0) }
    // 2^32 - 1 is no id.
    if mapped >= Int(UInt32.max) { return nil }
    return UInt32(overflow.prefix { $0.isNumber }) ?? 65534
  }
}
