import CLinux

/// Who connected to a Unix socket: the effective ids of the process at that moment (SO_PEERCRED, SO_PEERGROUPS;
/// unix(7)).
///
/// Every id that means nothing in this process's user namespace is shown as 65534.
package struct PeerCredentials: Sendable, Equatable {
  package let user: UInt32
  /// The primary group first, then the supplementary ones; none twice.
  package let groups: [UInt32]

  package init(user: UInt32, groups: [UInt32]) {
    self.user = user
    self.groups = groups
  }

  /// Reads them from a connected Unix socket; nil where they cannot be had. Supplementary groups that cannot be had are
  /// left out.
  init?(of socket: borrowing Descriptor) {
    guard let credentials = try? SystemCall.peerCredentials(of: socket.number) else { return nil }
    let supplementary = (try? SystemCall.peerGroups(of: socket.number)) ?? []
    user = credentials.user
    groups = [credentials.group] + supplementary.filter { $0 != credentials.group }
  }
}
