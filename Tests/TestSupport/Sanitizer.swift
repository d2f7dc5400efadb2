import Glibc

/// Whether the tests run under the thread or the address sanitizer (Tests/Sanitizers/run.sh).
public enum Sanitizer {
  public static var isOn: Bool { unsafe getenv("SANITIZER") != nil }
  /// By how much more memory may grow under one, which shadows it, and keeps what was freed.
  public static var memoryFactor: Int { isOn ? 32 : 1 }
}
