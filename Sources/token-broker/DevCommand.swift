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
    let tenant = try DevTenant(DevTenant.Options())
    var origin = options.origin
    origin.embedded = Configuration.EmbeddedTenant(
      baseURL: tenant.baseURL, clientID: tenant.clientID, secrets: tenant.secrets,
      certificatePEM: tenant.certificatePEM ?? "")
    let configuration = try read(origin)
    async let running: Void = tenant.run()
    defer { tenant.stop() }
    try await serve(configuration, from: origin) { addresses in
      guard let address = addresses.first else { return }
      // Read by people and by scripts, so at once and on standard output.
      Console.output(
        """
        The development tenant is at \(tenant.baseURL). Try:

          curl http://\(address)\(RunningBroker.tokenPath("https://api.example.com/"))
          curl http://\(address)\(RunningBroker.tokenPath(Fault.rateLimited.audience))

        """)
    }
    tenant.stop()
    try await running
  }
}
