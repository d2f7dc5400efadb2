import Application
import ArgumentParser

struct ServeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "serve", abstract: "Run the broker (the default).")

  @OptionGroup var options: ConfigurationOptions

  func run() async throws {
    Application.prepareProcess()
    let origin = options.origin
    try await serve(read(origin), from: origin)
  }
}
