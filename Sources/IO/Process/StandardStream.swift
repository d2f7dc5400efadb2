import Glibc

/// Standard output and standard error, without a buffer: what the reader of a pipe waits for is on its way at once.
package enum StandardStream: Sendable {
  case output, error

  private var descriptor: Int32 { self == .output ? STDOUT_FILENO : STDERR_FILENO }

  package var isTerminal: Bool { isatty(descriptor) == 1 }

  /// Writes all of `bytes`. What cannot be written is dropped: there is no other place to report it.
  package func write(_ bytes: ArraySlice<UInt8>) { try? SystemCall.write(bytes, to: descriptor) }

  package func write(_ text: String) { write(Array(text.utf8)[...]) }
}
