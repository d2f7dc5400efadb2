extension Configuration {
  /// Every setting there is, in the order in which they are read: those looked for in a configuration in which each
  /// kind of mapping stands once. What would be wrong with it does not matter here.
  package static var knownSettings: [Setting] {
    let sample = """
      auth0: {}
      clients: {one: {}, another: {provider: oauth2}}
      callers: {any: {}}
      audiences: [{}]
      store: {url: "redis://localhost"}
      """
    let reader = SettingsReader(environment: [:], fileName: nil)
    var configuration = Configuration()
    reader.read(try? YAMLParser.parse(Array(sample.utf8))) { root in
      configuration.read(root, Origin(environment: [:], isTerminal: false), after: nil)
    }
    return reader.known
  }
}
