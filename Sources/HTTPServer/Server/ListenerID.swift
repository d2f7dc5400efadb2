/// What a listener is for, and so what is served there.
package enum ListenerRole: Sendable {
  case main, admin
}

/// One of a server's listeners: which of the bindings in `Server.init`, and its role.
package struct ListenerID: Sendable {
  package let index: Int
  package let role: ListenerRole
}
