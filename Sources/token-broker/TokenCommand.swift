import Application
import ArgumentParser

extension TokenOutput: ExpressibleByArgument {}

struct TokenCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "token", abstract: "Print a token from a running broker.",
    discussion: "A caller's key is taken from BROKER_CALLER_KEY.")

  /// What git asks a credential helper for (gitcredentials(7)).
  enum GitAction: String, CaseIterable, ExpressibleByArgument {
    case get, store, erase
  }

  @Argument(help: "The audience: the identifier of the API the token is for.") var audience: String

  @Argument(help: "As git calls a credential helper: get prints the token for it, erase has a refused one replaced.")
  var git: GitAction?

  @OptionGroup var broker: BrokerLocation

  @Option(help: "How to print it; exec-credential is for kubectl. Default: text, or git-credential for git.")
  var output: TokenOutput?

  @Flag(help: "Print a whole Authorization header, for curl -H; the same as --output header.") var header = false

  @Flag(help: "Ask for a new token, because the API has refused the last; one younger than 30 s is the newest.")
  var fresh = false

  func validate() throws {
    if let problem = RunningBroker.problem(with: audience) { throw ValidationError(problem) }
    if header, output ?? .header != .header { throw ValidationError("--header contradicts --output") }
    if header, git != nil { throw ValidationError("--header is not what git reads") }
  }

  func run() async throws {
    Application.prepareProcess()
    switch git {
    case nil: try await printToken(output ?? (header ? .header : .text))
    case .get:
      let attributes = GitAttributes(AnyIterator { readLine() })
      guard attributes.isPrivate else {
        return Console.complain("no token for git: it would be sent to that host in clear, not by https")
      }
      try await printToken(output ?? .gitCredential, user: attributes.user)
    case .store: break
    case .erase:
      guard let rejected = GitAttributes(AnyIterator { readLine() }).rejected else { return }
      _ = try await ask([Self.noCache, ("X-Rejected-Token", rejected)])
    }
  }

  private static let noCache = (name: "Cache-Control", value: "no-cache")

  private func printToken(_ output: TokenOutput, user: String? = nil) async throws {
    let token = try await ask(fresh ? [Self.noCache] : [])
    do throws(GivenToken.Unprintable) {
      Console.output(try token.text(output, environment: RunningBroker.environment, user: user))
    } catch {
      Console.complain(error.reason)
      throw ExitCode.failure
    }
  }

  private func ask(_ fields: [(name: String, value: String)]) async throws -> GivenToken {
    let (answer, url) = try await broker.get(RunningBroker.tokenPath(audience), fields)
    if answer.status == 200, let token = GivenToken(answer.body) { return token }
    Console.complain("\(url) answered \(answer.status): \(String(decoding: answer.body, as: UTF8.self))")
    throw ExitCode.failure
  }
}
