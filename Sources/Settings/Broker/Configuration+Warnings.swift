package import IO

extension Configuration {
  /// Something that is as it was configured and perhaps not as it was meant.
  package struct Warning: Sendable {
    /// An address, or a setting.
    package let subject: String
    package let message: String
    /// What a person can do about it.
    package let remedy: String
  }

  /// What whoever starts the broker like this should know. `addresses` are those of the main listener.
  package func warnings(listeningOn addresses: [SocketAddress]) -> [Warning] {
    guard callers == nil else { return [] }
    return addresses.filter { !$0.isLoopback }.map { address in
      Warning(
        subject: "\(address)", message: "whoever can connect here is given tokens: no callers are configured",
        remedy: "Name in callers who may have which audiences, or listen on 127.0.0.1 or a Unix socket.")
    }
  }
}
