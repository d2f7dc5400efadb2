/// A file descriptor with one owner, closed when the owner lets go of it.
package struct Descriptor: ~Copyable, Sendable {
  package let number: Int32

  package init(_ number: Int32) { self.number = number }

  deinit { SystemCall.close(number) }

  /// A descriptor to give up when the process has no other left.
  package static func spare() throws(SystemError) -> Descriptor { try SystemCall.open("/dev/null", .reading) }
}
