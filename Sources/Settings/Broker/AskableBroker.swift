import BrokerAPI
import IO

/// Where a broker that has a configuration can be asked, and what it wants to see, for the commands that ask one.
/// Nothing else of the configuration need be sound: its credentials are not for those who ask.
package struct AskableBroker: Sendable {
  /// The addresses of the main listener, as they are written.
  package var main: [String]
  /// The address of the admin listener; nil: there is none.
  package var admin: String?
  /// What addresses with https:// show.
  package var certificateFile: String?
  /// They let nobody in without one.
  package var requiresCertificate = false
  /// The only hosts that may be named; empty: by its address it can be.
  package var hosts: [String] = []
  /// A field that must be there.
  package var field: (name: String, value: String)?

  package init(main: [String], admin: String? = nil) {
    self.main = main
    self.admin = admin
  }

  /// Throws why it cannot be told.
  package init(from origin: Configuration.Origin) throws(ConfigurationErrors) {
    let reader = SettingsReader(environment: origin.environment, fileName: origin.file)
    // What variables say holds without the file.
    let needsFile = reader.environment["BROKER_LISTEN"] == nil
    let document = needsFile ? try Configuration.document(origin.file) : try? Configuration.document(origin.file)
    var broker = AskableBroker(main: [])
    reader.read(document?.root) { root in
      broker.read(root)
      root.ignore()
    }
    try reader.finish()
    self = broker
  }

  private mutating func read(_ root: Section) {
    let address = Format<String>.text("an address")
    main = root.values("listen", environment: "BROKER_LISTEN", address, standard: "127.0.0.1:8080") ?? []
    root.section("admin") { section in
      let standard = "127.0.0.1:8081"
      let admin = section.value("listen", environment: "BROKER_ADMIN_LISTEN", address, standard: standard)
      self.admin = admin == "off" ? nil : admin
      section.ignore()
    }
    root.section("tls") { section in
      certificateFile = section.value("certificateFile", .path)
      requiresCertificate = section.value("requireClientCertificate", .flag) ?? false
      section.ignore()
    }
    let guards = RequestGuards(root)
    hosts = guards.allowedHosts.map { $0.sorted() } ?? []
    field = guards.requiredField
  }
}
