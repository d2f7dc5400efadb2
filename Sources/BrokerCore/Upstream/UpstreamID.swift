/// A configured client, as the cache tells them apart.
package struct UpstreamID: Hashable, Sendable {
  /// Its name in the configuration, not its client id.
  package let name: String
  /// Grows where the configuration has made another client of the name: what is held, remembered and under way for the
  /// old one then has nothing to do with the new.
  package let generation: Int

  package init(_ name: String, generation: Int = 0) {
    self.name = name
    self.generation = generation
  }

  /// The same client for those with credentials of their own: what happens to theirs is not its own affair.
  package var passThrough: UpstreamID { UpstreamID(name + Self.passThroughMark, generation: generation) }

  private static let passThroughMark = " (pass-through)"

  /// Whether it is the client of this name, or those with credentials of their own there.
  package func isOf(_ client: String) -> Bool { name == client || name == client + Self.passThroughMark }
}

extension UpstreamID: ExpressibleByStringLiteral {
  package init(stringLiteral name: String) { self.init(name) }
}
