import HTTPServer
import IO
import Logging
import Settings

extension Server {
  /// The server of a configuration, with the sockets that systemd hands over in place of those configured.
  convenience init(_ configuration: Configuration, from origin: Configuration.Origin, log: Logger) throws {
    let listeners = try Listeners(configuration, inherited: Listener.inherited(origin.environment))
    let bindings = listeners.main + listeners.admin
    if let missing = MissingResource(workers: configuration.workers, addresses: bindings.count) { throw missing }
    var limits = configuration.limits
    let wanted = limits.connections
    // The broker answers within the request's time; the server's own deadline only guards against its failing to.
    limits.requestTimeout += .seconds(2)
    limits.fit(
      descriptors: ThisProcess.descriptorLimit, loops: configuration.workers, addresses: bindings.count)
    if limits.connections < wanted {
      log.warning(
        "the limit on open files allows fewer connections than configured",
        metadata: ["connections": "\(limits.connections)", "files": "\(ThisProcess.descriptorLimit)"])
    }
    do {
      try self.init(label: "http", bindings, loops: configuration.workers, limits: limits)
    } catch let error as BindError {
      throw ListenError(error, configuration.effective)
    }
  }
}

/// An address that cannot be listened on, in the words of `ConfigurationError`.
struct ListenError: Error, CustomStringConvertible {
  let description: String

  init(_ error: Server.BindError, _ settings: [EffectiveSetting]) {
    let key = error.role == .admin ? "admin.listen" : "listen"
    let places = settings.filter { $0.key == key }
    let place = places.first { $0.value.contains("\(error.address)") } ?? places.first
    description = "\(key) (\(place?.source ?? "default")): \(error)\(Self.advice(error).map { "; \($0)" } ?? "")"
  }

  /// What a person can do about it.
  private static func advice(_ error: Server.BindError) -> String? {
    if error.reason.isAddressInUse {
      return "another process listens there, which \(error.address.isUnix ? "ss -lxp" : "ss -ltnp") names"
    }
    if error.reason.isAddressUnknown { return "no interface of this machine has this address" }
    guard error.reason.isAccessDenied else { return nil }
    return error.address.isUnix
      ? "the broker must be able to write to the socket's directory"
      : "a port below 1024 takes the capability CAP_NET_BIND_SERVICE; expected a higher one"
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
