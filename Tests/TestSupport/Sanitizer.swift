import Glibc

/// Whether the tests run under the thread or the address sanitizer (Tests/Sanitizers/run.sh).
package enum Sanitizer {
  package static var isOn: Bool { unsafe getenv("SANITIZER") != nil }
  /// By how much more memory may grow under one, which shadows it, and keeps what was freed.
  package static var memoryFactor: Int { isOn ? 32 : 1 }
}
