import Application
import ArgumentParser
import Settings

@main
struct BrokerCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "token-broker",
    abstract: "Gives internal services Auth0 access tokens; the client secret stays here.",
    discussion: "Configured by environment variables, a YAML file, or both; docs/configuration.md lists the settings.",
    version: Application.version,
    subcommands: [
      ServeCommand.self, DevCommand.self, CheckCommand.self, TokenCommand.self, HealthCommand.self,
      KeyCommand.self,
    ],
    defaultSubcommand: ServeCommand.self)
}

/// Exit codes beyond success (0), failure (1) and usage (64).
extension ExitCode {
  /// EX_CONFIG of sysexits(3).
  static let configuration = ExitCode(78)
}

/// The option of the commands that read the configuration.
struct ConfigurationOptions: ParsableArguments {
  @Option(name: .customLong("config"), help: "A configuration file in YAML. Default: BROKER_CONFIG.") var file: String?

  var origin: Configuration.Origin { Configuration.Origin(file: file) }
}

/// The option of the commands that ask a running broker.
struct BrokerLocation: ParsableArguments {
  @Option(help: "The broker's base URL. Default: the first address of BROKER_LISTEN, or http://127.0.0.1:8080.")
  var url: String?

  /// What the broker at `url` answers, and that URL. Without an answer says why, and exits with code 1.
  func get(_ path: String, accept: String = "application/json") async throws -> (RunningBroker.Answer, url: String) {
    do throws(RunningBroker.Unreachable) {
      let broker = try RunningBroker(url: url)
      return (try await broker.get(path, accept: accept), broker.url)
    } catch {
      Console.complain(error.reason)
      throw ExitCode.failure
    }
  }
}

/// Reads the configuration; on errors says all of them, a line each, and exits with code 78.
func read(_ origin: Configuration.Origin) throws -> Configuration {
  do throws(ConfigurationErrors) {
    return try Configuration(from: origin)
  } catch {
    for error in error.errors { Console.complain("\(error)") }
    throw ExitCode.configuration
  }
}

/// Serves until a signal; says which address could not be had, and exits with code 1. `ready` is told the addresses.
func serve(
  _ configuration: Configuration, from origin: Configuration.Origin, ready: ([String]) -> Void = { _ in }
) async throws {
  defer { Console.flushLog() }
  let application: Application
  do {
    application = try Application(configuration, from: origin)
  } catch {
    Console.complain("\(error)")
    throw ExitCode.failure
  }
  ready(application.addresses)
  try await application.serve()
}
