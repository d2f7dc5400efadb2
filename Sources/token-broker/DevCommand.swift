import Application
import ArgumentParser
import DevTenant
import Settings

struct DevCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "dev", abstract: "Run the broker with an embedded development tenant: no Auth0 account needed.")

  @OptionGroup var options: ConfigurationOptions

  func run() async throws {
    Application.prepareProcess()
    var settings = try DevTenant.Options()
    settings.grantsEverything = true
    let tenant = try DevTenant(settings)
    var origin = options.origin
    origin.embedded = EmbeddedTenant(
      baseURL: tenant.baseURL, clientID: tenant.clientID, secrets: tenant.secrets,
      certificatePEM: tenant.certificatePEM ?? "", faultAudiences: Self.faults.map(\.audience))
    let configuration = try read(origin)
    async let running: Void = tenant.run()
    defer { tenant.stop() }
    try await serve(configuration, from: origin) { application in
      // Read by people and by scripts, so at once and on standard output.
      Console.output(
        """
        The development tenant is at \(tenant.baseURL), and grants whatever it is asked for. Try:

        \(application.examples.map { "  \($0)\n" }.joined())
        """)
    }
    tenant.stop()
    try await running
  }

  /// The one that is shown comes first.
  private static let faults = [Fault.rateLimited] + Fault.allCases.filter { $0 != .rateLimited }
}
