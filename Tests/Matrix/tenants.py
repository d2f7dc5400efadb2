"""Authorization servers, by TLS and with HTTP/1.1 or HTTP/2, that end connections in one way each."""

import contextlib
import itertools
import socket
import ssl
import struct
import threading

DATA, HEADERS, SETTINGS, PING, GOAWAY = 0, 1, 4, 6, 7
END_STREAM, END_HEADERS, ACK = 0x1, 0x4, 0x1
TOKEN = b'{"access_token":"opaque","token_type":"Bearer","expires_in":3600}'
# In HPACK: `:status 200` is in its static table, and so is the name `content-type`.
JSON = b"\x88\x0f\x10\x10application/json"


class HTTP1:
    def __init__(self, connection, reader):
        self.connection, self.reader = connection, reader

    def requests(self):
        """The requests, each when it is here whole, as what `answer` takes."""
        while self.reader.readline():
            length = 0
            while field := self.reader.readline().strip():
                name, _, value = field.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
            self.reader.read(length)
            yield None

    def answer(self, _):
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(TOKEN)
        self.connection.sendall(head + TOKEN)

    def end(self, _):
        pass


class HTTP2:
    def __init__(self, connection, reader):
        self.connection, self.reader = connection, reader

    def send(self, kind, flags, stream, payload=b""):
        head = struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream)
        self.connection.sendall(head + payload)

    def requests(self):
        self.reader.read(24)  # the preface
        self.send(SETTINGS, 0, 0)
        while head := self.reader.read(9):
            kind, flags, stream = head[3], head[4], int.from_bytes(head[5:], "big")
            payload = self.reader.read(int.from_bytes(head[:3], "big"))
            if kind in (SETTINGS, PING) and not flags & ACK:
                self.send(kind, ACK, 0, payload if kind == PING else b"")
            if kind in (HEADERS, DATA) and flags & END_STREAM:
                yield stream

    def answer(self, stream):
        self.send(HEADERS, END_HEADERS, stream, JSON)
        self.send(DATA, END_STREAM, stream, TOKEN)

    def end(self, last):
        """No stream behind `last` was read, and none will be."""
        self.send(GOAWAY, 0, 0, struct.pack(">II", last, 0))


class Tenant:
    """Serves on a loopback port of its own, in threads of its own, while a `with` lasts. `play` has a connection's
    requests answered; the first connection has the number 1."""

    def __init__(self, files, http1=False, address=("127.0.0.1", 0), clients=None):
        """`clients`: the authority that clients' certificates must be of."""
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(files / "server.crt", files / "server.key")
        self.context.set_alpn_protocols(["http/1.1"] if http1 else ["h2", "http/1.1"])
        if clients:
            self.context.verify_mode = ssl.CERT_REQUIRED
            self.context.load_verify_locations(clients)
        self.address, self.numbers = address, itertools.count(1)
        self.asked = []  # for each request the number of its connection
        self.connections, self.threads = [], []

    def __enter__(self):
        self.listener = socket.create_server(self.address, backlog=64)
        self.address = self.listener.getsockname()
        self.url = "https://%s:%d/token" % self.address
        self.begin(self.accept)
        return self

    def __exit__(self, *_):
        for open_socket in [self.listener, *self.connections]:
            with contextlib.suppress(OSError):
                open_socket.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join(30)
        self.listener.close()

    def begin(self, work, *arguments):
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self.threads.append(thread)
        thread.start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                self.connections.append(connection)
                self.begin(self.serve, connection, next(self.numbers))

    def serve(self, connection, number):
        # One that brings no request is nothing to anybody.
        with contextlib.suppress(OSError, StopIteration), self.context.wrap_socket(connection, server_side=True) as tls:
            self.connections.append(tls)
            with tls.makefile("rb") as reader:
                session = (HTTP2 if tls.selected_alpn_protocol() == "h2" else HTTP1)(tls, reader)
                self.play(session, self.counted(session, number), number)

    def counted(self, session, number):
        for request in session.requests():
            self.asked.append(number)
            yield request

    def play(self, session, requests, _):
        for request in requests:
            session.answer(request)


class Closing(Tenant):
    """Closes each connection as soon as it is idle, every other in good order: by GOAWAY, where there is that, and by a
    close_notify of TLS."""

    def play(self, session, requests, number):
        stream = next(requests)
        session.answer(stream)
        if number % 2:
            session.end(stream)
            session.connection.setblocking(False)
            with contextlib.suppress(ssl.SSLWantReadError):
                session.connection.unwrap()  # sends it, and the other side's is not waited for
            session.connection.setblocking(True)
        session.connection.shutdown(socket.SHUT_WR)
        # What is still unread when a socket is closed would make a reset of it, which takes away what was sent.
        while session.connection.recv(4096):
            pass


class Losing(Tenant):
    """The first connection ends under its second request, which is read and not answered."""

    def play(self, session, requests, number):
        for place, request in enumerate(requests, 1):
            if (number, place) == (1, 2):
                return
            session.answer(request)


class Disowning(Tenant):
    """Of the first four requests on a connection that has had others it answers two, and says that it has not read the
    rest."""

    def play(self, session, requests, number):
        session.answer(next(requests))
        if number == 1:
            four = sorted(itertools.islice(requests, 4))
            session.end(four[1])
            for stream in four[:2]:
                session.answer(stream)
        super().play(session, requests, number)


class Holding(Tenant):
    """Answers when it may."""

    def __init__(self, *arguments, **more):
        super().__init__(*arguments, **more)
        self.may = threading.Event()

    def play(self, session, requests, _):
        for request in requests:
            self.may.wait(60)
            session.answer(request)


@contextlib.contextmanager
def dead(address):
    """Nothing gets through to the address, as where packets are dropped: its listener's queue is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(address, backlog=0))
        for _ in range(4):  # one more than the queue is long, and some to be sure
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(address)
        yield listener
