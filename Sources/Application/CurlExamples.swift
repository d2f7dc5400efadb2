import BrokerCore
import HTTPServer
import IO
import Settings

/// Command lines that get tokens of an embedded tenant: one for each listener, one for each further caller, and one
/// that meets a fault.
struct CurlExamples {
  let configuration: Configuration
  let tenant: EmbeddedTenant
  /// Those of the main role, as they are bound.
  let listeners: [ListenerState]

  /// Further callers that are shown.
  private static let mostCallers = 9

  var lines: [String] {
    let callers = (configuration.callers?.byName.values ?? [:].values).sorted { $0.name < $1.name }
    var lines = listeners.compactMap { listener in line(callers.first, at: listener) }
    guard let listener = listeners.first else { return lines }
    lines += callers.dropFirst().prefix(Self.mostCallers).compactMap { line($0, at: listener) }
    guard let fault = tenant.faultAudiences.first else { return lines }
    let asker = callers.first { may($0, have: fault) }
    if callers.isEmpty || asker != nil, let line = line(asker, at: listener, fault) { lines.append(line) }
    return lines
  }

  /// nil if there is no audience that the caller may have.
  private func line(_ caller: Caller?, at listener: ListenerState, _ audience: String? = nil) -> String? {
    guard let audience = audience ?? self.audience(of: caller) else { return nil }
    let command = CurlCommand(
      address: "\(listener.address)", audience: audience, tls: tls(of: listener), requiresProxy: listener.requiresProxy,
      key: caller.map { tenant.key(ofCaller: $0.name) }, guards: configuration.guards)
    return caller.map { "\(command)  # as \($0.name)" } ?? "\(command)"
  }

  private func tls(of listener: ListenerState) -> CurlCommand.TLS? {
    guard listener.isTLS, let context = configuration.tls, case .file(let file) = context.certificate else {
      return nil
    }
    let url = RunningBroker.url(listening: "\(listener.address)")
    let name = context.provenName(at: CurlCommand.host(String(url.dropFirst("http://".count))))
    return CurlCommand.TLS(file: file, name: name, wantsCertificate: context.clients.areRequired)
  }

  /// What the configuration names for the caller, or for everybody, or what stands in the documentation.
  private func audience(of caller: Caller?) -> String? {
    let faults = Set(tenant.faultAudiences)
    let named = [caller?.defaultAudience].compactMap(\.self) + (caller?.audiences.examples ?? [])
    return (named + configuration.audiences.names.filter { !faults.contains($0) } + ["https://api.example.com/"])
      .first { may(caller, have: $0) }
  }

  private func may(_ caller: Caller?, have audience: String) -> Bool {
    let name = Array(audience.utf8)
    return configuration.audiences[name] != nil && caller?.audiences.contains(name) != false
  }
}
