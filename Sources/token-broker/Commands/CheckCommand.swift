import Clocks
import ArgumentParser
import HTTPServer
import Logging
import OAuth
import TokenBroker

struct CheckCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check", abstract: "Validate the configuration, then fetch and validate a token per audience.")

  @OptionGroup var options: ConfigurationOptions

  @Option(
    name: .customLong("audience"), help: "An audience to try; may be repeated. Default: those of BROKER_AUDIENCES.")
  var audiences: [String] = []

  func run() async throws {
    prepareProcess()
    let configuration = try read(options.origin)
    for setting in configuration.effective { print("\(setting.key) = \(setting.value)  (\(setting.source))") }
    print("ok      configuration")
    let wanted = audiences.isEmpty ? configuration.audiences.names : audiences
    if wanted.isEmpty { print("        no audience to try: give --audience, or list them in the configuration") }
    let upstreams = Upstreams(log: makeLogger(LogSettings(level: .critical)))
    _ = try upstreams.replace(with: configuration)
    var failed = false
    for audience in wanted {
      do throws(TokenError) {
        let key = try key(audience, configuration)
        let deadline = Instant.now.advanced(by: configuration.limits.requestTimeout)
        let minted = try await upstreams.mint(key, deadline: deadline)
        let seconds = minted.mintedAt.duration(to: minted.expiresAt).components.seconds
        print("ok      \(audience): a valid token, for \(seconds) s\(minted.scope.map { ", scope \($0)" } ?? "")")
      } catch {
        failed = true
        print("failed  \(audience): \(error.code.rawValue): \(error.message)")
      }
    }
    if failed { throw ExitCode.failure }
  }

  private func key(_ audience: String, _ configuration: Configuration) throws(TokenError) -> TokenKey {
    if let problem = Audience.problem(with: audience) { throw TokenError(code: .unknownAudience, message: problem) }
    guard let key = configuration.audiences.key(for: Grant(audience: audience)) else {
      throw TokenError(code: .unknownAudience, message: "the configuration does not list this audience")
    }
    return key
  }
}
