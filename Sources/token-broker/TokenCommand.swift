import Application
import ArgumentParser

struct TokenCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "token", abstract: "Print a token from a running broker.")

  @Argument(help: "The audience: the identifier of the API the token is for.") var audience: String

  @OptionGroup var broker: BrokerLocation

  @Flag(help: "Print a whole Authorization header, for curl -H.") var header = false

  func validate() throws { if let problem = RunningBroker.problem(with: audience) { throw ValidationError(problem) } }

  func run() async throws {
    Application.prepareProcess()
    let (answer, url) = try await broker.get(RunningBroker.tokenPath(audience), accept: "text/plain")
    let text = String(decoding: answer.body, as: UTF8.self)
    guard answer.status == 200 else {
      Console.complain("\(url) answered \(answer.status): \(text)")
      throw ExitCode.failure
    }
    Console.output(header ? "Authorization: Bearer \(text)" : text)
  }
}
