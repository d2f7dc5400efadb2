import ArgumentParser

struct ServeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "serve", abstract: "Run the broker (the default).")

  @OptionGroup var options: ConfigurationOptions

  func run() async throws {
    prepareProcess()
    let origin = options.origin
    try await serve(read(origin), from: origin)
  }
}

/// Serves until a signal; says which address could not be had.
func serve(
  _ configuration: Configuration, from origin: Configuration.Origin, ready: (Service) -> Void = { _ in }
) async throws {
  defer { LogOutput.standardError.flush() }
  let service: Service
  do {
    service = try Service(configuration, from: origin, logging: LogControl(configuration.logging))
  } catch {
    complain("\(error)")
    throw ExitCode.failure
  }
  ready(service)
  try await service.run()
}
