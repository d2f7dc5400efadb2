import Clocks
import ArgumentParser
import OAuth

struct CheckCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check", abstract: "Validate the configuration, then fetch and validate a token per audience.")

  @OptionGroup var options: ConfigurationOptions

  @Option(
    name: .customLong("audience"), help: "An audience to try; may be repeated. Default: those of BROKER_AUDIENCES.")
  var audiences: [String] = []

  func run() async throws {
    prepareProcess()
    let environment = options.environment
    let configuration = try configured { () throws(ConfigurationErrors) in
      try EnvironmentReader.configuration(environment, isTerminal: standardErrorIsTerminal)
    }
    print("ok      configuration: issuer \(configuration.client.issuer), client id \(configuration.client.clientID)")
    let wanted =
      audiences.isEmpty
      ? (configuration.audiences ?? []).map { String(decoding: $0, as: UTF8.self) }.sorted() : audiences
    if wanted.isEmpty { print("        no audience to try: give --audience, or list them in BROKER_AUDIENCES") }

    let source = try TokenSource(client: configuration.client, http: HTTPClient(trust: configuration.trust))
    var failed = false
    for audience in wanted {
      do throws(TokenError) {
        if let problem = Audience.problem(with: audience) {
          throw TokenError(code: .unknownAudience, message: problem)
        }
        let deadline = Instant.now.advanced(by: configuration.requestTimeout)
        let minted = try await source.mint(Grant(audience: audience), deadline: deadline)
        let seconds = minted.mintedAt.duration(to: minted.expiresAt).components.seconds
        print("ok      \(audience): a valid token, for \(seconds) s\(minted.scope.map { ", scope \($0)" } ?? "")")
      } catch {
        failed = true
        print("failed  \(audience): \(error.code.rawValue): \(error.message)")
      }
    }
    if failed { throw ExitCode.failure }
  }
}
