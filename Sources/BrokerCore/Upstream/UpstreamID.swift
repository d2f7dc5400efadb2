/// A configured client, as the cache tells them apart.
package struct UpstreamID: Hashable, Sendable {
  /// Its name in the configuration, not its client id.
  private let client: String
  let isPassThrough: Bool
  /// Grows where the configuration has made another client of the name: what is held, remembered and under way for the
  /// old one then has nothing to do with the new.
  package let generation: Int

  package init(_ name: String, generation: Int = 0) {
    self.init(name, isPassThrough: false, generation)
  }

  private init(_ client: String, isPassThrough: Bool, _ generation: Int) {
    self.client = client
    self.isPassThrough = isPassThrough
    self.generation = generation
  }

  /// What it is called in figures and logs.
  package var name: String { isPassThrough ? "\(client) (pass-through)" : client }

  /// The same client for those with credentials of their own: what happens to theirs is not its own affair.
  package var passThrough: UpstreamID { UpstreamID(client, isPassThrough: true, generation) }

  /// Whether it is the client of this name, or those with credentials of their own there.
  package func isOf(_ client: String) -> Bool { self.client == client }
}

extension UpstreamID: ExpressibleByStringLiteral {
  package init(stringLiteral name: String) { self.init(name) }
}
