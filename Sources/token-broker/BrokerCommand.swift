import Application
import ArgumentParser
import Settings

@main
struct Program {
  static func main() async {
    guard let arguments = Console.arguments else {
      let reason = "started without any arguments, not even a name, so what it is to do is unknown"
      Console.fail("the broker cannot start", [reason], from: Configuration.Origin(file: nil))
      BrokerCommand.exit(withError: ExitCode.validationFailure)
    }
    if let obstacle = Application.obstacle {
      Console.fail("the broker cannot start", [obstacle], from: Configuration.Origin(file: nil))
      BrokerCommand.exit(withError: ExitCode.failure)
    }
    if let objection = BrokerCommand.objection(to: arguments) {
      Console.complain(objection)
      BrokerCommand.exit(withError: ExitCode.validationFailure)
    }
    await BrokerCommand.main(arguments == ["version"] || arguments == ["-v"] ? ["--version"] : arguments)
  }
}

struct BrokerCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "token-broker",
    abstract: "Gives internal services Auth0 access tokens; the client secret stays here.",
    usage: """
      token-broker [serve] [--config FILE]
      token-broker <subcommand> [options]
      """,
    discussion: """
      Configured by environment variables, by a YAML file that --config FILE or BROKER_CONFIG names, or by both; \
      docs/configuration.md lists the settings. Without any account, try: token-broker dev
      """,
    version: Application.version,
    subcommands: [
      ServeCommand.self, DevCommand.self, CheckCommand.self, TokenCommand.self, HealthCommand.self,
      KeyCommand.self,
    ],
    defaultSubcommand: ServeCommand.self)

  /// What is wrong with the first word; nil for a command, and for an option of the default one.
  static func objection(to arguments: [String]) -> String? {
    let names = configuration.subcommands.compactMap { $0.configuration.commandName } + ["help", "version"]
    guard let word = arguments.first, !word.hasPrefix("-"), !names.contains(word) else { return nil }
    return Console.unknownCommand(word, among: names)
  }
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

/// The options of the commands that ask a running broker.
struct BrokerLocation: ParsableArguments {
  @Option(help: "The broker's base URL, or unix:/path. Default: an address that the configuration listens on.")
  var url: String?

  @OptionGroup var configuration: ConfigurationOptions

  /// What the broker answers, and its URL. Without --url the configuration says where it is asked: at the admin
  /// listener, if there is one and `asksAdmin`, and where that does not answer at the main one. Without any answer says
  /// why, and exits with code 1; with a configuration that does not say where it listens, with 78.
  func get(
    _ path: String, _ fields: [(name: String, value: String)] = [], asksAdmin: Bool = false
  ) async throws -> (RunningBroker.Answer, url: String) {
    var reasons: [String] = []
    for broker in try ways(asksAdmin: asksAdmin) {
      do throws(RunningBroker.Unreachable) {
        return (try await broker.get(path, fields), broker.url)
      } catch {
        reasons.append(error.reason)
      }
    }
    for reason in reasons { Console.complain(reason) }
    throw ExitCode.failure
  }

  private func ways(asksAdmin: Bool) throws -> [RunningBroker] {
    let configured = try url == nil ? askable() : nil
    do throws(RunningBroker.Unreachable) {
      if let configured { return try RunningBroker.ways(to: configured, asksAdmin: asksAdmin) }
      return [try RunningBroker(url: url ?? "")]
    } catch {
      Console.complain(error.reason)
      throw ExitCode.failure
    }
  }

  private func askable() throws -> AskableBroker {
    do throws(ConfigurationErrors) {
      return try AskableBroker(from: configuration.origin)
    } catch {
      for error in error.errors { Console.complain("\(error)") }
      throw ExitCode.configuration
    }
  }
}

/// Reads the configuration; on errors says all of them, a line each, and exits with code 78.
func read(_ origin: Configuration.Origin) throws -> Configuration {
  do throws(ConfigurationErrors) {
    return try Configuration(from: origin)
  } catch {
    Console.fail("the configuration cannot be used", complaints(of: error, about: origin), from: origin)
    throw ExitCode.configuration
  }
}

/// All that is wrong with a configuration, a line each.
func complaints(of errors: ConfigurationErrors, about origin: Configuration.Origin) -> [String] {
  let hint = "nothing is configured: try `token-broker dev`, which needs no account, or `token-broker --help`"
  return errors.errors.map { "\($0)" } + (origin.isEmpty ? [hint] : [])
}

/// Serves until a signal; says which address could not be had, and exits with code 1. `ready` is told when it listens.
func serve(
  _ configuration: Configuration, from origin: Configuration.Origin, ready: (Application) -> Void = { _ in }
) async throws {
  defer { Console.flushLog() }
  let application: Application
  do {
    application = try Application(configuration, from: origin)
  } catch {
    Console.fail("the broker cannot start", ["\(error)"], from: origin)
    throw ExitCode.failure
  }
  ready(application)
  do {
    try await application.serve()
  } catch {
    Console.fail("the broker cannot go on", ["\(error)"], from: origin)
    throw ExitCode.failure
  }
}
