"""The servers that are compared: the broker, and one in Go. All on loopback, on ports of their own."""

import http.client
import os
import resource
import socket
import subprocess
import time
from pathlib import Path
from typing import IO
from urllib.parse import quote

import processes
from figures import Failed
from services import Child, Tenant

START_SECONDS = 20


def raise_descriptor_limit() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def token_path(number: int = 0) -> str:
    """The path of an audience that the tenant knows."""
    return "/token/" + quote(f"https://{number}.example.com/", safe="")


def token_paths(count: int) -> list[str]:
    return [token_path(number) for number in range(count)]


class Peer(Child):
    """A server under test: its processes, and where it answers plainly, by TLS, and by HTTP/2 with prior knowledge."""

    def __init__(
        self,
        name: str,
        command: list[str],
        port: int,
        environment: dict[str, str] | None = None,
        *,
        headers: dict[str, str] | None = None,
        tls_port: int | None = None,
        http2_port: int | None = None,
        admin_port: int | None = None,
        core: int | None = None,
        stderr: int | IO[str] = subprocess.DEVNULL,
    ) -> None:
        """Starts it, on one core where that is said, and waits until it answers."""
        self.name, self.port, self.headers = name, port, headers or {}
        self.tls_port, self.http2_port, self.admin_port = tls_port, http2_port or port, admin_port
        if core is not None:
            command = ["taskset", "--cpu-list", str(core), *command]
        started = time.monotonic()
        self.process = subprocess.Popen(
            command, env={"PATH": os.environ["PATH"], **(environment or {})}, stdout=subprocess.DEVNULL, stderr=stderr
        )
        try:
            self.wait_until_it_answers(started + START_SECONDS)
        except BaseException:
            self.stop()
            raise
        self.seconds_to_first_answer = time.monotonic() - started

    def wait_until_it_answers(self, deadline: float) -> None:
        while True:
            try:
                self.get("/healthz")
                return
            except OSError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise Failed(f"{self.name} does not start") from None
                time.sleep(0.0005)

    def get(self, path: str, port: int | None = None) -> tuple[int, bytes]:
        """Status and body of an answer on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=10)
        try:
            connection.request("GET", path, headers=self.headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def token(self, path: str) -> bytes:
        """The body of an answer that has to be a token."""
        status, body = self.get(path)
        if status != 200:
            raise Failed(f"{self.name}: {path}: {status} {body[:300]!r}")
        return body

    def url(self, path: str, tls: bool = False) -> str:
        return f"https://127.0.0.1:{self.tls_port}{path}" if tls else f"http://127.0.0.1:{self.port}{path}"

    def pids(self) -> list[int]:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [self.process.pid, *map(int, children.split())]

    def cpu(self) -> processes.CPU:
        """Processor time of all its processes so far."""
        return processes.cpu(self.pids())

    def resident(self) -> int:
        """Bytes of all its processes that are in memory."""
        return processes.resident(self.pids())

    def anonymous(self) -> int:
        """Bytes in memory of all its processes, without what is mapped from files."""
        return processes.anonymous(self.pids())


def broker(
    executable: Path,
    tenant: Tenant,
    directory: Path,
    *,
    name: str = "broker",
    settings: dict[str, str] | None = None,
    configuration: str = "",
    tls: tuple[Path, Path] | None = None,
    headers: dict[str, str] | None = None,
    core: int | None = None,
    admin: bool = False,
    preload: Path | None = None,
    stderr: int | IO[str] = subprocess.DEVNULL,
) -> Peer:
    """The broker with `settings` in its environment, `configuration` in its file, and with a certificate and key.

    It has an admin listener only where that is asked for: each address leaves fewer connections to the others.
    """
    port, tls_port, admin_port = free_port(), None, free_port() if admin else None
    listen = f"127.0.0.1:{port}"
    if tls:
        tls_port = free_port()
        listen += f",https://127.0.0.1:{tls_port}"
        configuration += f"\ntls: {{certificateFile: {tls[0]}, keyFile: {tls[1]}}}\n"
    environment = {
        **tenant.environment,
        "BROKER_LISTEN": listen,
        "BROKER_ADMIN_LISTEN": f"127.0.0.1:{admin_port}" if admin else "off",
        "BROKER_LOG_LEVEL": "error",
        **(settings or {}),
    }
    if configuration:
        file = directory / f"{name}-{port}.yaml"
        file.write_text(configuration)
        environment["BROKER_CONFIG"] = str(file)
    if preload:
        environment["LD_PRELOAD"] = str(preload)
    return Peer(
        name, [str(executable), "serve"], port, environment, headers=headers, tls_port=tls_port, admin_port=admin_port,
        core=core, stderr=stderr,
    )


def go_broker(executable: Path, tenant: Tenant, core: int | None = None) -> Peer:
    """What verifies no token and knows no caller (Peers/go-broker)."""
    port = free_port()
    return Peer("Go", [str(executable)], port, {**tenant.environment, "BROKER_LISTEN": f"127.0.0.1:{port}"}, core=core)
