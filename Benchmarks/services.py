"""What the servers that are compared need: a tenant, a store, a certificate."""

import contextlib
import json
import signal
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from figures import Failed


class Child:
    """A process that ends with its block."""

    process: subprocess.Popen[Any]

    def stop(self) -> None:
        """Lets it end by itself, and ends it where it does not."""
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(20)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class Tenant(Child):
    """The development tenant, and the environment that makes a broker use it."""

    def __init__(self, executable: Path, audiences: int, directory: Path, milliseconds: int = 0) -> None:
        """Knows so many audiences, and takes so long over each token."""
        command = [str(executable), str(audiences)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        facts = json.loads(self.say(None) or "{}")
        if "certificate" not in facts or self.say(f"latency {milliseconds}") != "ok\n":
            self.stop()
            raise Failed("the tenant does not start")
        certificate = directory / "tenant.pem"
        certificate.write_text(facts.pop("certificate"))
        self.environment = {**facts, "AUTH0_CA_FILE": str(certificate), "SSL_CERT_FILE": str(certificate)}

    def say(self, order: str | None) -> str:
        """Gives it an order, or none, and returns the next line that it says."""
        assert self.process.stdin and self.process.stdout
        if order:
            self.process.stdin.write(order + "\n")
            self.process.stdin.flush()
        line: str = self.process.stdout.readline()
        return line

    def statistics(self) -> dict[str, int]:
        """What it has counted, of which one connection is that of this question."""
        context = ssl.create_default_context(cafile=self.environment["AUTH0_CA_FILE"])
        url = f"{self.environment['AUTH0_DOMAIN']}/dev/statistics"
        with urllib.request.urlopen(url, context=context, timeout=60) as answer:
            counted: dict[str, int] = json.load(answer)
            return counted

    @contextlib.contextmanager
    def expecting(self, mints: int) -> Iterator[None]:
        """Fails unless it has given exactly so many tokens meanwhile."""
        before = self.statistics()["mints"]
        yield
        given = self.statistics()["mints"] - before
        if given != mints:
            raise Failed(f"{given} mints, where {mints} were expected")


class Redis:
    """A server for `BROKER_STORE` on a Unix socket, which can be paused."""

    def __init__(self, directory: Path) -> None:
        path = directory / "redis.sock"
        self.url = f"redis+unix://{path}"
        options = ["--port", "0", "--unixsocket", str(path), "--save", "", "--dir", str(directory)]
        self.process = subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while not path.exists():
            if time.monotonic() > deadline or self.process.poll() is not None:
                self.process.kill()
                raise Failed("redis-server does not start")
            time.sleep(0.01)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def __enter__(self) -> "Redis":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait(20)


def certificate(directory: Path) -> tuple[Path, Path]:
    """The paths of a certificate, ECDSA by P-256 as everywhere, and of its key."""
    paths = directory / "server.crt", directory / "server.key"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=127.0.0.1"
    command += f" -out {paths[0]} -keyout {paths[1]} -addext subjectAltName=IP:127.0.0.1"
    subprocess.run(command.split(), check=True, capture_output=True, timeout=60)
    return paths
