import ArgumentParser

struct ServeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "serve", abstract: "Run the broker (the default).")

  @OptionGroup var options: ConfigurationOptions

  func run() async throws {
    prepareProcess()
    let environment = options.environment
    let configuration = try configured { () throws(ConfigurationErrors) in
      try EnvironmentReader.configuration(environment, isTerminal: standardErrorIsTerminal)
    }
    try await serve(configuration)
  }
}

/// Serves until a signal; says which address could not be had.
func serve(_ configuration: Configuration, ready: (Service) -> Void = { _ in }) async throws {
  let service: Service
  do {
    service = try Service(configuration, log: makeLogger(configuration.logging))
  } catch {
    complain("\(error)")
    throw ExitCode.failure
  }
  ready(service)
  try await service.run()
}
