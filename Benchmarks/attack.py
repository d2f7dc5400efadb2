"""What callers notice of clients that wish a broker ill."""

import multiprocessing
import socket
import statistics
import time

import load
from figures import Failed, at_most
from peers import Peer, token_path
from scene import Scene


def measure(scene: Scene) -> None:
    path = token_path()
    calm, attacked, probes = [], [], []
    with scene.broker() as broker:
        broker.token(path)
        for _ in range(scene.rounds):
            calm.append(load.wrk(broker, 8, path)["p99 ms"])
            attack = Attack(broker.port, path)
            try:
                attacked.append(load.wrk(broker, 8, path, seconds=4)["p99 ms"])
                probes.append(slowest(broker, "/healthz", 50))
            finally:
                attack.stop()
        resident = broker.resident()
    report = scene.report
    report.heading(f"under attack: 2,000 drip headers, 5,000 idle, 200 never read, medians of {scene.rounds} rounds")
    ratio = statistics.median(attacked) / statistics.median(calm)
    report.value("p99 of 8 healthy callers, ÷ calm", ratio, "", at_most(3))
    report.value("slowest of 50 /healthz", 1000 * statistics.median(probes), "ms", at_most(100))
    report.value("resident afterwards", resident / 1e6, "MB")


def slowest(peer: Peer, path: str, count: int) -> float:
    """The slowest of so many requests, each on a connection of its own, in seconds."""
    worst = 0.0
    for _ in range(count):
        started = time.monotonic()
        status, _ = peer.get(path)
        if status != 200:
            raise Failed(f"{path}: {status}")
        worst = max(worst, time.monotonic() - started)
        time.sleep(0.02)
    return worst


class Attack:
    """2,000 clients that send a header a byte at a time, 5,000 that stay idle, 200 that ask and never read."""

    def __init__(self, port: int, path: str) -> None:
        self.ready = multiprocessing.Event()
        self.process = multiprocessing.Process(target=self.run, args=(port, path), daemon=True)
        self.process.start()
        if not self.ready.wait(60):
            self.stop()
            raise Failed("the attack does not get going")

    def run(self, port: int, path: str) -> None:
        request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()

        def client() -> socket.socket:
            connection = socket.create_connection(("127.0.0.1", port), timeout=10)
            connection.setblocking(False)
            return connection

        idle = [client() for _ in range(5000)]
        deaf = [client() for _ in range(200)]
        drippers = [client() for _ in range(2000)]
        sent = [0] * len(drippers)
        self.ready.set()
        while True:
            started = time.monotonic()
            for connection in deaf:
                try:
                    connection.send(request * 50)
                except OSError:
                    pass
            for index, dripper in enumerate(drippers):
                try:
                    dripper.send(request[sent[index] % 20 : sent[index] % 20 + 1])
                    sent[index] += 1
                except OSError:
                    dripper.close()
                    try:
                        drippers[index], sent[index] = client(), 0
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

    def stop(self) -> None:
        self.process.kill()
        self.process.join(20)
