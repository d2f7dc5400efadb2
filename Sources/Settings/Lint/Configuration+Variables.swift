import Basics

extension Configuration {
  /// The variables that look like one of the broker's and are none, each with that one.
  static func misspeltVariables(in environment: [String: String]) -> [(name: String, meant: String)] {
    let known = Set(knownSettings.compactMap(\.variable) + ["BROKER_CONFIG", "BROKER_CALLER_KEY"])
    return environment.keys.sorted().compactMap { name in
      if known.contains(name) || environment[name] == "" { return nil }
      return EditDistance.nearest(to: name.uppercased(), among: known) { _ in 2 }.map { (name, $0) }
    }
  }
}
