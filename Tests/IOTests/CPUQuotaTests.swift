import Testing

@testable import IO

/// What the processor quota of a process is, by the files that the kernel shows.
@Suite struct CPUQuotaTests {
  @Test(
    "The least quota of a group and those above it counts, by either version of control groups",
    arguments: [
      ("0::/\n", ["/sys/fs/cgroup/cpu.max": "max 100000\n"], nil),
      ("0::/\n", ["/sys/fs/cgroup/cpu.max": "150000 100000\n"], 1.5),
      // systemd's CPUQuota=10% for the unit, in a slice with more.
      (
        "0::/system.slice/broker.service\n",
        [
          "/sys/fs/cgroup/system.slice/broker.service/cpu.max": "10000 100000\n",
          "/sys/fs/cgroup/system.slice/cpu.max": "50000 100000\n",
        ], 0.1
      ),
      (
        "0::/system.slice/broker.service\n",
        [
          "/sys/fs/cgroup/system.slice/broker.service/cpu.max": "max 100000\n",
          "/sys/fs/cgroup/system.slice/cpu.max": "50000 100000\n",
        ], 0.5
      ),
      (
        "4:memory:/a\n3:cpu,cpuacct:/a/b\n0::/\n",
        [
          "/sys/fs/cgroup/cpu/a/b/cpu.cfs_quota_us": "20000\n", "/sys/fs/cgroup/cpu/a/b/cpu.cfs_period_us": "10000\n",
          "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n", "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        ], 2
      ),
      // A container that sees the host's name for its group, and its own files at the root.
      (
        "3:cpu:/docker/1\n",
        ["/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "5000\n", "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "10000\n"], 0.5
      ),
      // Without /proc.
      ("", ["/sys/fs/cgroup/cpu.max": "10000 100000\n"], 0.1),
      ("", [:], nil),
      ("nonsense\n0:\n", ["/sys/fs/cgroup/cpu.max": "many\n"], nil),
    ] as [(String, [String: String], Double?)])
  func cores(_ memberships: String, _ files: [String: String], _ expected: Double?) {
    #expect(CPUQuota.cores(memberships: memberships) { files[$0] } == expected)
  }
}
