import Foundation
import TestSupport
import Testing

extension IntegrationTests {
  /// The command line reaches the broker, whatever has been done to its environment: a broker that ran without its
  /// configuration file would serve whom that keeps out.
  @Suite struct ArgumentTests {
    /// The environment that preloads a library which sets a variable. Swift's own list of arguments is empty then.
    private func preloading(_ tenant: Tenant) async throws -> [String: String] {
      let library = try tenant.file("set-variable.so", "")
      let source = Repository.path("Tests/IntegrationTests/Clients/set_variable.c")
      let made = try await ChildProcess.run("clang", ["-shared", "-fPIC", "-o", library, source])
      #expect(made.status == 0, "\(made.errors)")
      let others = ProcessInfo.processInfo.environment["LD_PRELOAD"].map { $0 + ":" } ?? ""
      return tenant.environment.merging(["LD_PRELOAD": others + library]) { $1 }
    }

    private func expectClosed(_ broker: BrokerProcess, to callers: TestCallers) async throws {
      #expect(try await broker.token(API.path).status == 401)
      #expect(try await broker.token(API.path, "-H", callers.billingProof).status == 200)
      try await broker.end()
    }

    @Test("With a preloaded library that sets a variable the file of --config is read")
    func preloaded() async throws {
      let callers = TestCallers()
      try await withTenant { tenant in
        let file = try tenant.file("closed.yaml", callers.text)
        let broker = try await BrokerProcess(["serve", "--config", file], environment: preloading(tenant))
        try await expectClosed(broker, to: callers)
      }
    }

    @Test("Where /proc does not show the process's memory the file of --config is read", .enabled(if: geteuid() == 0))
    func hiddenMemory() async throws {
      let callers = TestCallers()
      try await withTenant { tenant in
        let file = try tenant.file("closed.yaml", callers.text)
        let broker = try await BrokerProcess(
          ["serve", "--config", file], environment: tenant.environment,
          through:
            "exec unshare --mount sh -c 'mount --bind /dev/null /proc/$$/maps && exec \"$0\" \"$@\"' \"$0\" \"$@\"")
        try await expectClosed(broker, to: callers)
      }
    }

    @Test(
      "With a preloaded library that sets a variable a wrong command line exits with 64, and a right one does its work")
    func preloadedUsage() async throws {
      try await withTenant { tenant in
        let environment = try await preloading(tenant)
        for (arguments, status) in [(["nonsense"], Int32(64)), (["token"], 64), (["--version"], 0)] {
          let result = try await ChildProcess.run(BrokerProcess.executable, arguments, environment: environment)
          #expect(result.status == status, "\(arguments): \(result)")
        }
      }
    }

    @Test("Without any arguments, not even a name, it exits with 64 and serves nobody")
    func none() async throws {
      try await withTenant { tenant in
        let script = "import ctypes, sys; ctypes.CDLL(None).execv(sys.argv[1].encode(), (ctypes.c_char_p * 1)(None))"
        let result = try await ChildProcess.run(
          "/usr/bin/python3", ["-c", script, BrokerProcess.executable],
          environment: tenant.environment.merging(BrokerProcess.loopback) { $1 })
        #expect(result.status == 64 && result.errors.contains("without any arguments"), "\(result)")
      }
    }
  }
}
