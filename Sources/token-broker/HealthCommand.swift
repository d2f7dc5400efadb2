import Application
import ArgumentParser

struct HealthCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "health", abstract: "Exit with 0 when a running broker is healthy.",
    discussion: """
      For container health checks, which then need neither a shell nor curl. Without --url it asks the admin listener \
      of the configuration, or where there is none the main one.
      """)

  @OptionGroup var broker: BrokerLocation

  @Flag(help: "Ask whether it can answer token requests, not only whether it runs.") var ready = false

  func run() async throws {
    Application.prepareProcess()
    let (answer, url) = try await broker.get(ready ? "/readyz" : "/healthz", asksAdmin: true)
    if answer.status == 200 { return }
    Console.complain("\(url): not \(ready ? "ready" : "healthy") (status \(answer.status))")
    throw ExitCode.failure
  }
}
