"""Putting load on a peer. What a load returns it has measured in one round; processor time is the peer's own."""

import re
import selectors
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from figures import Failed, Figures
from peers import Peer
from processes import CPU

UNITS = {"us": 1e-3, "ms": 1, "s": 1000}
# The end of whatever a load has been waiting for, in seconds.
TIMEOUT = 120
# For certificates that the peers made themselves.
UNVERIFYING = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
UNVERIFYING.check_hostname, UNVERIFYING.verify_mode = False, ssl.CERT_NONE

ROTATING = """
local requests, count, next = {}, 0, 0
init = function()
  for line in io.lines("DATA") do
    local path, name, value = line:match("^(%S+) (%S+) (.*)$")
    requests[count] = wrk.format("GET", path, {[name] = value})
    count = count + 1
  end
end
request = function()
  next = (next + 7919) % count
  return requests[next]
end
"""


def cost(spent: CPU, answers: int, what: str = "") -> Figures:
    """The processor's time for each of so many answers."""
    return {
        f"CPU µs{what}": 1e6 * spent.total / answers,
        f"user µs{what}": 1e6 * spent.user / answers,
        f"system µs{what}": 1e6 * spent.system / answers,
    }


def wrk(
    peer: Peer,
    connections: int,
    path: str = "/",
    *,
    seconds: int = 2,
    script: Path | None = None,
    tls: bool = False,
    core: int | None = None,
    halfway: Callable[[], None] | None = None,
) -> Figures:
    """HTTP/1.1 with a request at a time on each connection, from one thread; `halfway` is called amidst it."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "--timeout", "10s"]
    for name, value in peer.headers.items():
        command += ["-H", f"{name}: {value}"]
    if script:
        command += ["-s", str(script)]
    if core is not None:
        command = ["taskset", "--cpu-list", str(core), *command]
    before = peer.cpu()
    with subprocess.Popen([*command, peer.url(path, tls)], stdout=subprocess.PIPE, text=True) as process:
        try:
            if halfway:
                time.sleep(seconds / 2)
                halfway()
            output, _ = process.communicate(timeout=TIMEOUT)
        except BaseException:
            process.kill()
            raise
    spent = peer.cpu() - before
    requests = re.search(r"(\d+) requests in", output)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", output)
    quantiles = {
        name: float(number) * UNITS[unit] for name, number, unit in re.findall(r"(50|99)%\s+([\d.]+)(us|ms|s)", output)
    }
    if not requests or not rate or "Non-2xx" in output or "Socket errors" in output:
        raise Failed(f"{peer.name}: wrk was not given what it asked for\n{output}")
    return {
        "requests/s": float(rate[1]),
        **cost(spent, int(requests[1])),
        "p50 ms": quantiles["50"],
        "p99 ms": quantiles["99"],
    }


def rotating(file: Path, requests: Iterable[tuple[str, dict[str, str]]]) -> Path:
    """A script for wrk that asks for these paths, each with its field, over and over in an order that jumps about."""
    data = file.with_suffix(".txt")
    with data.open("w") as output:
        for path, fields in requests:
            for name, value in fields.items():
                output.write(f"{path} {name} {value}\n")
    file.write_text(ROTATING.replace("DATA", str(data)))
    return file


def h2load(peer: Peer, path: str, seconds: int = 2) -> Figures:
    """HTTP/2 with prior knowledge, on eight connections with 32 requests at once on each."""
    before = peer.cpu()
    url = f"http://127.0.0.1:{peer.http2_port}{path}"
    command = ["h2load", "-t1", "-c8", "-m32", f"-D{seconds}", "--warm-up-time=0", url]
    output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=TIMEOUT).stdout
    good = re.search(r"status codes: (\d+) 2xx, 0 3xx, 0 4xx, 0 5xx", output)
    if not good or "Application protocol: h2c" not in output or not re.search(r" 0 failed, 0 errored", output):
        raise Failed(f"{peer.name}: h2load was not given what it asked for\n{output}")
    return {"requests/s": int(good[1]) / seconds, **cost(peer.cpu() - before, int(good[1]))}


def handshakes(peer: Peer, path: str, *, resumed: bool, seconds: int = 2, clients: int = 4) -> Figures:
    """New connections by TLS 1.3 that ask once, one after the other by each client; a first one has no session yet."""
    before, started = peer.cpu(), time.monotonic()
    command = f"openssl s_time {'-reuse' if resumed else '-new'} -tls1_3 -time {seconds}"
    command += f" -connect 127.0.0.1:{peer.tls_port} -www {path}"
    running = [subprocess.Popen(command.split(), stdout=subprocess.PIPE, text=True) for _ in range(clients)]
    try:
        outputs = [process.communicate(timeout=TIMEOUT)[0] for process in running]
    finally:
        for process in running:
            process.kill()
    elapsed = time.monotonic() - started
    # One letter for each connection: r where it was resumed, * where it was not.
    letters = "".join("".join(re.findall(r"^[*r]+$", output, re.MULTILINE)) for output in outputs)
    if not letters or set(letters) != {"r" if resumed else "*"}:
        raise Failed(f"{peer.name}: {letters.count('r')} sessions were resumed and {letters.count('*')} were not")
    return {"handshakes/s": len(letters) / elapsed, **cost(peer.cpu() - before, len(letters))}


class Client:
    """A connection by HTTP/1.1 that is kept, and on which a request waits for the answer to the last."""

    def __init__(self, peer: Peer, *, tls: bool = False) -> None:
        self.peer, self.received, self.path = peer, b"", ""
        port = peer.tls_port if tls else peer.port
        self.socket = socket.create_connection(("127.0.0.1", port or 0), timeout=60)
        if tls:
            self.socket = UNVERIFYING.wrap_socket(self.socket)
        fields = "".join(f"{name}: {value}\r\n" for name, value in peer.headers.items())
        self.rest = f" HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n"

    def ask(self, path: str) -> None:
        self.path, self.received = path, b""
        self.socket.sendall(f"GET {path}{self.rest}".encode())

    def has_answer(self) -> bool:
        """Reads what has come, or waits for it; whether the answer is complete."""
        piece = self.socket.recv(65536)
        self.received += piece
        head, end, body = self.received.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        if not piece or (end and (not head.startswith(b"HTTP/1.1 200 ") or not length)):
            raise Failed(f"{self.peer.name}: {self.path}: {self.received[:300]!r}")
        return bool(end and length and len(body) >= int(length[1]))

    def close(self) -> None:
        self.socket.close()


def ask_each(peer: Peer, paths: list[str], connections: int = 64) -> float:
    """Asks once for each of `paths`, over so many connections at a time; returns how many seconds it took."""
    started, rest = time.monotonic(), iter(paths)
    clients = [Client(peer) for _ in range(min(connections, len(paths)))]
    with selectors.DefaultSelector() as selector:
        for client in clients:
            client.ask(next(rest))
            selector.register(client.socket, selectors.EVENT_READ, client)
        remaining = len(paths)
        while remaining:
            ready = selector.select(timeout=60)
            if not ready:
                raise Failed(f"{peer.name}: {remaining} answers have not come")
            for key, _ in ready:
                if not key.data.has_answer():
                    continue
                remaining -= 1
                if path := next(rest, None):
                    key.data.ask(path)
    for client in clients:
        client.close()
    return time.monotonic() - started


def idle(peer: Peer, count: int, path: str, tls: bool = False) -> list[Client]:
    """Connections that have asked once and say nothing more."""
    clients = []
    for _ in range(count):
        client = Client(peer, tls=tls)
        client.ask(path)
        while not client.has_answer():
            pass
        clients.append(client)
    return clients


def numbers(count: int) -> Iterator[dict[str, str]]:
    """Fields that tell requests apart and mean nothing."""
    return ({"X-Number": str(number)} for number in range(count))
