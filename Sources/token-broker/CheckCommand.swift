import Application
import ArgumentParser
import Settings

struct CheckCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check",
    abstract:
      "Find out what is wrong: look at the configuration and the way to each tenant, and fetch a token per audience.",
    discussion: "Each token that is fetched counts as one with the tenant; --no-mint fetches none.")

  @OptionGroup var options: ConfigurationOptions

  @Option(
    name: .customLong("audience"), help: "An audience to try; may be repeated. Default: those of BROKER_AUDIENCES.")
  var audiences: [String] = []

  @Flag(help: "Fetch no token: look at the configuration and the way to each tenant only.") var noMint = false

  @Flag(help: "Print each setting as it is in force, too, and where it comes from.") var verbose = false

  @Flag(help: "Print one JSON object instead.") var json = false

  func run() async throws {
    Application.prepareProcess()
    let origin = options.origin
    var report = CheckReport()
    let configuration: Configuration
    do throws(ConfigurationErrors) {
      configuration = try Configuration(from: origin)
    } catch {
      for complaint in complaints(of: error, about: origin) { Console.complain(complaint) }
      report.findings = error.errors.map(Finding.init)
      if json { Console.output(report.json) }
      throw ExitCode.configuration
    }
    report.settings = configuration.effective
    report.findings = [.ok(.configuration, nil, "\(report.settings.count) settings in force; --verbose shows them")]
    try await Doctor(
      configuration: configuration, environment: origin.environment, audiences: audiences, mints: !noMint
    ) { report.findings.append($0) }.examine()
    Console.output(json ? report.json : report.text(withSettings: verbose))
    if report.verdict == .failed { throw ExitCode.failure }
  }
}
