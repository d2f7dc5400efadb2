/// The broker's version, as metrics, reports and `--version` say it.
package enum Version {
  package static let current = "0.2.0"
}
