"""Putting load on a peer, kindly (wrk) and unkindly."""

import http.client
import multiprocessing
import re
import socket
import ssl
import statistics
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1}

# Asks for one audience after the other, each round as many requests as there are audiences.
ROTATING = """
local requests, next = {{}}, 0
init = function()
  for number = 0, {count} - 1 do
    requests[number] = wrk.format("GET", "/token/https%3A%2F%2F" .. number .. ".example.com%2F")
  end
end
request = function()
  next = (next + 7919) % {count}
  return requests[next]
end
"""


def wrk(peer, connections, path, seconds=2, script=None, tls=False):
    """Requests a second, CPU seconds a request, and quantiles of the latency in seconds."""
    before = peer.cpu_seconds()
    url = peer.url(path, tls)
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "--timeout", "10s", url]
    for name, value in peer.headers.items():
        command[1:1] = ["-H", f"{name}: {value}"]
    if script:
        command[1:1] = ["-s", str(script)]
    output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    if "Non-2xx" in output or "Socket errors" in output:
        raise SystemExit(f"{peer.name}: {output}")
    requests = int(re.search(r"(\d+) requests in", output).group(1))
    quantiles = {
        name: float(number) * UNITS[unit] for name, number, unit in re.findall(r"(50|99)%\s+([\d.]+)(us|ms|s)", output)
    }
    return {
        "requests/s": float(re.search(r"Requests/sec:\s+([\d.]+)", output).group(1)),
        "CPU/request": (peer.cpu_seconds() - before) / requests,
        "p50": quantiles["50"],
        "p99": quantiles["99"],
    }


def h2load(peer, path, seconds=2):
    """Eight connections of HTTP/2 with 32 requests at once on each: requests a second, CPU seconds a request."""
    before = peer.cpu_seconds()
    url = f"http://127.0.0.1:{peer.http2_port}{path}"
    command = ["h2load", "-t1", "-c8", "-m32", f"-D{seconds}", "--warm-up-time=0", url]
    output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    good = int(re.search(r"status codes: (\d+) 2xx, 0 3xx, 0 4xx, 0 5xx", output).group(1))
    if not good or "Application protocol: h2c" not in output or not re.search(r" 0 failed, 0 errored", output):
        raise SystemExit(f"{peer.name}: {output}")
    return {"requests/s": good / seconds, "CPU/request": (peer.cpu_seconds() - before) / good}


def resume(peer, path, seconds=2, clients=4):
    """New TLS connections that resume a session and ask once, one after the other by each client."""
    before, started = peer.cpu_seconds(), time.monotonic()
    command = f"openssl s_time -reuse -tls1_3 -connect 127.0.0.1:{peer.tls_port} -time {seconds} -www {path}".split()
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(clients)]
    outputs = [process.communicate(timeout=120)[0] for process in processes]
    elapsed = time.monotonic() - started
    # One letter for each connection, r where it was resumed.
    letters = [re.search(r"starting\n([*r]*)\n", output).group(1) for output in outputs]
    resumed = sum(text.count("r") for text in letters)
    if not resumed or any("*" in text for text in letters):
        raise SystemExit(f"{peer.name}: {resumed} sessions were resumed, others were not")
    return {"handshakes/s": resumed / elapsed, "CPU/handshake": (peer.cpu_seconds() - before) / resumed}


def ask_at_once(peer, paths):
    """Asks for each of `paths` on a connection of its own, all at the same time; seconds until the last is answered."""
    clients = [socket.create_connection(("127.0.0.1", peer.port), timeout=60) for _ in paths]
    started = time.monotonic()
    for client, path in zip(clients, paths):
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    for client in clients:
        answer = client.recv(65536)
        if not answer.startswith(b"HTTP/1.1 200 "):
            raise SystemExit(f"{peer.name}: {answer[:300]}")
        client.close()
    return time.monotonic() - started


def interleaved(rounds, runs):
    """Runs each of `runs` (name → function) once a round; returns name → figure → median."""
    results = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            results[name].append(run())
    return {
        name: {figure: statistics.median(row[figure] for row in rows) for figure in rows[0]}
        for name, rows in results.items()
    }


def idle(peer, count, path, tls=False):
    """Connections that have asked once and say nothing more."""
    clients = []
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    for _ in range(count):
        client = socket.create_connection(("127.0.0.1", peer.tls_port if tls else peer.port), timeout=10)
        if tls:
            client = context.wrap_socket(client)
        client.sendall(request)
        client.recv(65536)
        clients.append(client)
    return clients


def fetch_all(peer, paths, connections=32):
    """Asks for each of `paths` once, over so many connections at a time."""

    def worker(share):
        client = http.client.HTTPConnection("127.0.0.1", peer.port, timeout=60)
        for path in share:
            client.request("GET", path)
            answer = client.getresponse()
            body = answer.read()
            if answer.status != 200:
                raise SystemExit(f"{path}: {answer.status} {body[:300]}")

    with ThreadPoolExecutor(connections) as pool:
        list(pool.map(worker, [paths[start::connections] for start in range(connections)]))


class Attack:
    """2,000 clients that send a header a byte at a time, 5,000 that stay idle, 200 that ask and never read."""

    def __init__(self, port, path):
        self.ready = multiprocessing.Event()
        self.process = multiprocessing.Process(target=self.run, args=(port, path), daemon=True)
        self.process.start()
        if not self.ready.wait(60):
            raise SystemExit("the attack does not get going")

    def run(self, port, path):
        request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()

        def client():
            connection = socket.create_connection(("127.0.0.1", port), timeout=10)
            connection.setblocking(False)
            return connection

        idle = [client() for _ in range(5000)]
        deaf = [client() for _ in range(200)]
        drippers = [[client(), 0] for _ in range(2000)]
        self.ready.set()
        while True:
            started = time.monotonic()
            for connection in deaf:
                try:
                    connection.send(request * 50)
                except OSError:
                    pass
            for dripper in drippers:
                try:
                    dripper[0].send(request[dripper[1] % 20 : dripper[1] % 20 + 1])
                    dripper[1] += 1
                except OSError:
                    dripper[0].close()
                    try:
                        dripper[:] = [client(), 0]
                    except OSError:
                        pass
            for index, connection in enumerate(idle):
                # Those whose time for a first header is over come back.
                try:
                    if connection.recv(1, socket.MSG_PEEK) == b"":
                        raise OSError
                except BlockingIOError:
                    continue
                except OSError:
                    connection.close()
                    try:
                        idle[index] = client()
                    except OSError:
                        pass
            time.sleep(max(0, started + 1 - time.monotonic()))

    def stop(self):
        self.process.kill()
        self.process.join(20)


def slowest(peer, path, count):
    """The slowest of so many requests, each on a connection of its own, in seconds."""
    worst = 0
    for _ in range(count):
        started = time.monotonic()
        status, _ = peer.get(path)
        if status != 200:
            raise SystemExit(f"{path}: {status}")
        worst = max(worst, time.monotonic() - started)
        time.sleep(0.02)
    return worst
