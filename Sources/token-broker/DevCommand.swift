import ArgumentParser
import DevTenant
import OAuth
import IO

struct DevCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "dev", abstract: "Run the broker with an embedded development tenant: no Auth0 account needed.")

  @OptionGroup var options: ConfigurationOptions

  func run() async throws {
    prepareProcess()
    let tenant = try DevTenant(DevTenant.Options(address: SocketAddress(parsing: "127.0.0.1:0")))
    var origin = options.origin
    origin.embedded = Configuration.EmbeddedTenant(
      baseURL: tenant.baseURL, clientID: tenant.clientID, secrets: tenant.secrets,
      certificatePEM: tenant.certificatePEM ?? "")
    let configuration = try read(origin)
    async let running: Void = tenant.run()
    defer { tenant.stop() }
    try await serve(configuration, from: origin) { service in
      guard let address = service.addresses.first else { return }
      let base = "http://\(address)"
      let encoded = PercentEncoder.encode("https://api.example.com/")
      // Read by people and by scripts, so at once and on standard output.
      output(
        """
        The development tenant is at \(tenant.baseURL). Try:

          curl \(base)/token/\(encoded)
          curl \(base)/token/\(PercentEncoder.encode(Fault.rateLimited.audience))

        """)
    }
    tenant.stop()
    try await running
  }
}
