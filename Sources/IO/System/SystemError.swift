import Glibc

/// A system call that failed: which one, and its `errno`.
package struct SystemError: Error, Equatable, CustomStringConvertible {
  package let call: String
  package let code: Int32

  package init(_ call: String, _ code: Int32) {
    self.call = call
    self.code = code
  }

  package var description: String { "\(call): \(reason)" }

  /// Why it failed, in the system's words.
  package var reason: String { SystemCall.message(for: code) }

  package var isAccessDenied: Bool { code == EACCES }
  /// Somebody else listens there.
  package var isAddressInUse: Bool { code == EADDRINUSE }
  /// No interface of this machine has the address.
  package var isAddressUnknown: Bool { code == EADDRNOTAVAIL }
  /// What was asked makes no sense for this kind of file.
  package var isInvalidArgument: Bool { code == EINVAL }
  package var isOutOfDescriptors: Bool { code == EMFILE || code == ENFILE }

  /// The connection that was to be accepted is gone; the next may be sound (accept(2), "Error handling").
  /// All else, such as being out of descriptors, would fail again at once.
  package var isOfOneConnection: Bool {
    [ECONNABORTED, EPROTO, ENETDOWN, EHOSTDOWN, EHOSTUNREACH, ENETUNREACH, ENONET, ENOPROTOOPT].contains(code)
  }
}
