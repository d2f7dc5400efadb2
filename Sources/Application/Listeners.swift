import HTTPServer
import IO
import Logging
import Settings

extension Server {
  /// The server of a configuration, with the sockets that systemd hands over in place of those configured.
  convenience init(_ configuration: Configuration, from origin: Configuration.Origin, log: Logger) throws {
    let listeners = try Listeners(configuration, inherited: Listener.inherited(origin.environment))
    let bindings = listeners.main + listeners.admin
    var limits = configuration.limits
    let wanted = limits.connections
    // The broker answers within the request's time; the server's own deadline only guards against its failing to.
    limits.requestTimeout += .seconds(2)
    limits.fit(descriptors: ThisProcess.descriptorLimit, addresses: bindings.count)
    if limits.connections < wanted {
      log.warning(
        "the limit on open files allows fewer connections than configured",
        metadata: ["connections": "\(limits.connections)", "files": "\(ThisProcess.descriptorLimit)"])
    }
    try self.init(label: "http", bindings, loops: configuration.workers, limits: limits)
  }
}

/// What to listen on: the sockets handed over in place of those configured, each kind for itself.
private struct Listeners {
  let main: [Server.Binding]
  let admin: [Server.Binding]

  /// One that is called `admin` (FileDescriptorName=) is the admin listener.
  init(_ configuration: Configuration, inherited: [(name: String, listener: Listener)]) {
    let (admin, main) = (inherited.filter { $0.name == "admin" }, inherited.filter { $0.name != "admin" })
    // Where any listener is to have TLS, what comes over TCP has it: nothing that was to be secured is left open.
    let tls = configuration.listen.contains(where: \.isTLS) ? configuration.tls : nil
    // The same goes for the PROXY protocol: nobody's word is taken who is no proxy.
    let proxies = configuration.listen.contains(where: \.requiresProxy) ? configuration.proxies : nil
    self.main =
      main.isEmpty
      ? configuration.listen.map {
        Server.Binding(
          $0.address, tls: $0.isTLS ? configuration.tls : nil, proxies: $0.requiresProxy ? configuration.proxies : nil)
      }
      : main.map {
        let isUnix = $0.listener.address.isUnix
        return Server.Binding(inherited: $0.listener, tls: isUnix ? nil : tls, proxies: isUnix ? nil : proxies)
      }
    self.admin =
      admin.isEmpty
      ? configuration.adminListen.map { [Server.Binding($0, .admin)] } ?? []
      : admin.map { Server.Binding(inherited: $0.listener, .admin) }
  }
}
