import ArgumentParser
import Glibc
import IO

@main
struct BrokerCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "token-broker",
    abstract: "Gives internal services Auth0 access tokens; the client secret stays here.",
    discussion: "Configured by environment variables, a YAML file, or both; the README lists the settings.",
    version: Version.current,
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
  @Option(name: .customLong("config"), help: "A configuration file in YAML. Default: BROKER_CONFIG.")
  var file: String?

  /// The environment, with what the options say on top.
  var origin: Configuration.Origin {
    var environment = ProcessEnvironment.variables
    if let file { environment["BROKER_CONFIG"] = file }
    return Configuration.Origin(environment: environment, isTerminal: isatty(STDERR_FILENO) == 1)
  }
}

/// Writes to standard output at once: what a pipe's reader waits for must not sit in a buffer.
func output(_ text: String) { write(text, to: STDOUT_FILENO) }

/// A line on standard error, for people.
func complain(_ line: String) { write("token-broker: \(line)\n", to: STDERR_FILENO) }

private func write(_ text: String, to descriptor: Int32) {
  let bytes = Array(text.utf8)
  unsafe bytes.withUnsafeBytes { unsafe _ = Glibc.write(descriptor, $0.baseAddress, $0.count) }
}

/// Reads the configuration; on errors says all of them, a line each, and exits with code 78.
func read(_ origin: Configuration.Origin) throws -> Configuration {
  do throws(ConfigurationErrors) {
    return try Configuration(from: origin)
  } catch {
    complain(error)
    throw ExitCode.configuration
  }
}

/// Says all that is wrong with a configuration, a line each.
func complain(_ errors: ConfigurationErrors) {
  for error in errors.errors { complain("\(error)") }
}

/// What every command that goes on the network sets up first.
func prepareProcess() {
  ThisProcess.ignoreFailingWrites()
  ThisProcess.forbidCoreDumps()
  ThisProcess.raiseDescriptorLimit()
}
