/// How much processor time the control groups of this process leave it (cgroups(7)).
enum CPUQuota {
  private static let version2 = "/sys/fs/cgroup"
  private static let version1 = "/sys/fs/cgroup/cpu"

  /// In cores: the least that its own group or one above it sets. nil where none does, or none can be read.
  static var cores: Double? { cores(memberships: text("/proc/self/cgroup") ?? "", read: text) }

  private static func text(_ file: String) -> String? {
    (try? File.read(file)).map { String(decoding: $0, as: UTF8.self) }
  }

  /// `memberships` has a line for each hierarchy, `0::PATH` of version 2 and `7:cpu,cpuacct:PATH` of version 1. The
  /// root is read whatever they say: it is the container's own group where PATH is the host's name for that.
  static func cores(memberships: String, read: (String) -> String?) -> Double? {
    var directories: Set = [version2, version1]
    for line in memberships.split(separator: "\n") {
      let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      guard fields.count == 3 else { continue }
      if fields[0] == "0", fields[1].isEmpty { directories.formUnion(groups(at: fields[2], below: version2)) }
      if fields[1].split(separator: ",").contains("cpu") {
        directories.formUnion(groups(at: fields[2], below: version1))
      }
    }
    return directories.compactMap { quota(of: $0, read) }.min()
  }

  /// The directories of a group and of those above it.
  private static func groups(at path: Substring, below root: String) -> [String] {
    var directory = root
    return path.split(separator: "/").map { name in
      directory += "/\(name)"
      return directory
    }
  }

  /// Version 2 has both numbers in one file, "max 100000" where there is no quota; version 1 has -1 there.
  private static func quota(of directory: String, _ read: (String) -> String?) -> Double? {
    let words =
      if let text = read("\(directory)/cpu.max") {
        text.split(whereSeparator: \.isWhitespace)
      } else {
        ["quota", "period"].flatMap { name in
          read("\(directory)/cpu.cfs_\(name)_us")?.split(whereSeparator: \.isWhitespace) ?? []
        }
      }
    guard words.count == 2, let quota = Double(words[0]), let period = Double(words[1]), quota > 0, period > 0
    else { return nil }
    return quota / period
  }
}
