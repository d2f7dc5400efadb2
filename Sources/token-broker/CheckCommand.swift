import Application
import ArgumentParser
import Settings

struct CheckCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check",
    abstract:
      "Find out what is wrong: look at the configuration and the way to each tenant, and fetch a token per audience.",
    discussion: "Each token that is fetched counts as one with the tenant.")

  @OptionGroup var options: ConfigurationOptions

  @Option(
    name: .customLong("audience"), help: "An audience to try; may be repeated. Default: those of BROKER_AUDIENCES.")
  var audiences: [String] = []

  @Flag(help: "Print one JSON object instead, when all is done.") var json = false

  func run() async throws {
    Application.prepareProcess()
    let origin = options.origin
    var report = CheckReport()
    func tell(_ finding: Finding) {
      if !json { for line in CheckReport.lines(finding, after: report.findings.last) { Console.output(line + "\n") } }
      report.findings.append(finding)
    }
    let configuration: Configuration
    do throws(ConfigurationErrors) {
      configuration = try Configuration(from: origin)
    } catch {
      for error in error.errors { Console.complain("\(error)") }
      report.findings = error.errors.map(Finding.init)
      if json { Console.output(report.json) }
      throw ExitCode.configuration
    }
    report.settings = configuration.effective
    if !json { Console.output(report.settings.map { CheckReport.line($0) + "\n" }.joined() + "\n") }
    tell(.ok(.configuration, nil, "\(report.settings.count) settings in force"))
    try await Doctor(configuration: configuration, environment: origin.environment, audiences: audiences, tell: tell)
      .examine()
    if json { Console.output(report.json) }
    if report.verdict == .failed { throw ExitCode.failure }
  }
}
