import Glibc

extension Descriptor {
  /// A socket on its way to `address`: writable once it has arrived or failed, which `connectError` tells apart.
  package static func connecting(to address: SocketAddress) throws(SystemError) -> Descriptor {
    let socket = try SystemCall.socket(family: address.family)
    if !address.isUnix {
      try SystemCall.setOption(socket.number, level: Int32(IPPROTO_TCP), name: TCP_NODELAY, to: 1)
    }
    do throws(SystemError) {
      try SystemCall.connect(socket.number, to: address)
    } catch {
      if error.code != EINPROGRESS { throw error }
    }
    return socket
  }
}

extension Stream {
  /// How connecting went, once the stream is writable; nil for well.
  package var connectError: SystemError? {
    do throws(SystemError) {
      let code = try SystemCall.option(number, SO_ERROR)
      return code == 0 ? nil : SystemError("connect", code)
    } catch {
      return error
    }
  }
}
