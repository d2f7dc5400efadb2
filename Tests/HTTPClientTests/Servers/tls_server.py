"""A TLS server that answers every request with 200, and says on standard output what it has got.

    tls_server.py DIRECTORY [--http1] [--tls12] [--verify] [--goaway COUNT] [--lose] [--deaf] [--slow]

DIRECTORY has server.crt, server.key and ca.crt. --verify: clients must show a certificate of that authority. --goaway:
the first connection by HTTP/2 waits for so many requests, answers half of them, and disowns the rest by GOAWAY, which
says that they were not read. --lose: the first connection ends under its second request, which is read. --deaf: the first connection hears nothing more behind its first
answer, as where the network has forgotten it. --slow: each connection answers twenty requests a second, in turn.
"""

import argparse, ctypes, pathlib, socket, ssl, struct, threading, time

DATA, HEADERS, SETTINGS, GOAWAY = 0, 1, 4, 7
END_STREAM, END_HEADERS, ACK = 0x1, 0x4, 0x1

parser = argparse.ArgumentParser()
parser.add_argument("directory", type=pathlib.Path)
parser.add_argument("--http1", action="store_true")
parser.add_argument("--tls12", action="store_true")
parser.add_argument("--verify", action="store_true")
parser.add_argument("--goaway", type=int, default=0)
parser.add_argument("--lose", action="store_true")
parser.add_argument("--deaf", action="store_true")
parser.add_argument("--slow", action="store_true")
options = parser.parse_args()

context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(options.directory / "server.crt", options.directory / "server.key")
context.set_alpn_protocols(["http/1.1"] if options.http1 else ["h2", "http/1.1"])
if options.tls12:
    context.maximum_version = ssl.TLSVersion.TLSv1_2
if options.verify:
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(options.directory / "ca.crt")


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def answer(stream):
    # 0x88 is `:status 200` in HPACK's static table.
    return frame(HEADERS, END_STREAM | END_HEADERS, stream, b"\x88")


def answered(connection, number):
    if options.deaf and number == 1:
        # A filter that drops every packet before TCP sees it (socket(7)): `ret 0`. 26 is SO_ATTACH_FILTER.
        program = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0))
        connection.setsockopt(socket.SOL_SOCKET, 26, struct.pack("HL", 1, ctypes.addressof(program)))


def http2(reader, connection, number):
    reader.read(24)
    connection.sendall(frame(SETTINGS, 0, 0))
    streams = []
    while head := reader.read(9):
        length, kind, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
        stream = int.from_bytes(head[5:], "big")
        reader.read(length)
        if kind == SETTINGS and not flags & ACK:
            connection.sendall(frame(SETTINGS, ACK, 0))
        if kind not in (HEADERS, DATA) or not flags & END_STREAM:
            continue
        print("request", number, flush=True)
        streams.append(stream)
        if options.lose and number == 1 and len(streams) == 2:
            return
        if number > 1 or not options.goaway:
            if options.slow:
                time.sleep(0.05)
            connection.sendall(answer(stream))
            answered(connection, number)
        elif len(streams) == options.goaway:
            kept = streams[: len(streams) // 2]
            last = struct.pack(">II", kept[-1], 0)
            connection.sendall(frame(GOAWAY, 0, 0, last) + b"".join(map(answer, kept)))


def http1(reader, connection, number):
    while line := reader.readline():
        length = 0
        while (field := reader.readline().strip()):
            name, _, value = field.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        reader.read(length)
        print("request", number, flush=True)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        answered(connection, number)


def serve(connection, number):
    try:
        with context.wrap_socket(connection, server_side=True) as tls, tls.makefile("rb") as reader:
            (http2 if tls.selected_alpn_protocol() == "h2" else http1)(reader, tls, number)
    except OSError:
        pass


listener = socket.create_server(("127.0.0.1", 0), backlog=128)
print("port", listener.getsockname()[1], flush=True)
number = 0
while True:
    connection, _ = listener.accept()
    number += 1
    threading.Thread(target=serve, args=(connection, number), daemon=True).start()
