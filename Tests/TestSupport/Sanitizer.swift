import Glibc

/// Whether the tests run under the thread or the address sanitizer (Tests/Sanitizers/run.sh), where memory is another's
/// affair: freed later, and shadowed.
public enum Sanitizer {
  public static var isOn: Bool { unsafe getenv("TSAN_OPTIONS") != nil || getenv("ASAN_OPTIONS") != nil }
}
