"""The servers that are compared: the broker, nginx twice, and a broker in Go. All on loopback, on ports of their own."""

import contextlib
import http.client
import json
import os
import pathlib
import re
import resource
import signal
import socket
import ssl
import subprocess
import time
import urllib.request
from urllib.parse import quote

TICK = os.sysconf("SC_CLK_TCK")


def raise_descriptor_limit():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def token_path(number=0):
    """The path of an audience that the tenant knows."""
    return "/token/" + quote(f"https://{number}.example.com/", safe="")


class Peer:
    """A server under test: its processes and where it answers, plainly, by TLS, and by HTTP/2 with prior knowledge."""

    def __init__(
        self, name, command, port, environment=None, stderr=subprocess.DEVNULL, headers=None, tls_port=None,
        http2_port=None,
    ):
        self.name, self.port, self.headers = name, port, headers or {}
        self.tls_port, self.http2_port = tls_port, http2_port or port
        started = time.monotonic()
        self.process = subprocess.Popen(
            command, env={"PATH": os.environ["PATH"], **(environment or {})}, stdout=subprocess.DEVNULL, stderr=stderr
        )
        deadline = started + 20
        while True:
            try:
                self.get("/healthz")
                break
            except OSError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise SystemExit(f"{name} does not start")
                time.sleep(0.0005)
        self.seconds_to_first_answer = time.monotonic() - started

    def get(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path, headers=self.headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def url(self, path, tls=False):
        return f"https://127.0.0.1:{self.tls_port}{path}" if tls else f"http://127.0.0.1:{self.port}{path}"

    def pids(self):
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [self.process.pid, *map(int, children.split())]

    def cpu_seconds(self):
        """User and system time of all its processes."""
        total = 0
        for pid in self.pids():
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
        return total / TICK

    def kib(self, field="VmRSS"):
        """Memory of all its processes; RssAnon leaves out what is mapped from files."""
        status = (pathlib.Path(f"/proc/{pid}/status").read_text() for pid in self.pids())
        return sum(int(re.search(rf"{field}:\s+(\d+)", text).group(1)) for text in status)

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(20)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class Tenant:
    """The development tenant, and the environment that makes a broker use it."""

    def __init__(self, executable, audiences, directory, milliseconds=0):
        command = [executable, str(audiences)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        facts = json.loads(self.process.stdout.readline())
        self.process.stdin.write(f"latency {milliseconds}\n")
        self.process.stdin.flush()
        if self.process.stdout.readline() != "ok\n":
            raise SystemExit("the tenant does not start")
        certificate = directory / "tenant.pem"
        certificate.write_text(facts.pop("certificate"))
        self.environment = {**facts, "AUTH0_CA_FILE": str(certificate), "SSL_CERT_FILE": str(certificate)}

    def statistics(self):
        """What it has counted, of which one connection is that of this question."""
        context = ssl.create_default_context(cafile=self.environment["AUTH0_CA_FILE"])
        with urllib.request.urlopen(f"{self.environment['AUTH0_DOMAIN']}/dev/statistics", context=context) as answer:
            return json.load(answer)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(20)


def certificate(directory):
    """The path of a certificate, ECDSA by P-256 as everywhere, and of its key."""
    paths = directory / "server.crt", directory / "server.key"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=127.0.0.1"
    command += f" -out {paths[0]} -keyout {paths[1]} -addext subjectAltName=IP:127.0.0.1"
    subprocess.run(command.split(), check=True, capture_output=True)
    return paths


def broker(
    executable, tenant, preload=None, stderr=subprocess.DEVNULL, name="broker", settings=None, headers=None, tls=None
):
    port = free_port()
    tls_port, listen = None, f"127.0.0.1:{port}"
    if tls:
        tls_port = free_port()
        listen += f",https://127.0.0.1:{tls_port}"
        file = tls[0].parent / "broker.yaml"
        file.write_text(f"tls: {{certificateFile: {tls[0]}, keyFile: {tls[1]}}}\n")
        settings = {**(settings or {}), "BROKER_CONFIG": str(file)}
    environment = {
        **tenant.environment,
        "BROKER_LISTEN": listen,
        "BROKER_ADMIN_LISTEN": "off",
        "BROKER_LOG_LEVEL": "error",
        # Warming 100,000 audiences must not wait for the allowance.
        "BROKER_MINTS_PER_MINUTE": "1000000",
        **(settings or {}),
    }
    if preload:
        environment["LD_PRELOAD"] = str(preload)
    return Peer(name, [executable, "serve"], port, environment, stderr, headers, tls_port)


def go_broker(executable, tenant):
    port = free_port()
    return Peer("Go", [str(executable)], port, {**tenant.environment, "BROKER_LISTEN": f"127.0.0.1:{port}"})


class Redis:
    """A server for `BROKER_STORE`, which can be paused."""

    def __init__(self, directory):
        path = directory / "redis.sock"
        self.url = f"redis+unix://{path}"
        options = ["--port", "0", "--unixsocket", str(path), "--save", "", "--dir", str(directory)]
        self.process = subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while not path.exists():
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise SystemExit("redis-server does not start")
            time.sleep(0.01)

    @contextlib.contextmanager
    def paused(self):
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait(20)


# The same fields and bytes as the broker's answer, said outright or kept from an upstream that says it.
NGINX = """
{user}daemon off; pid {directory}/nginx.pid; error_log /dev/null; worker_processes auto;
events {{ worker_connections 12000; }}
http {{
  access_log off; keepalive_requests 1000000000; default_type application/json;
  client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy;
  proxy_cache_path {directory}/cache keys_zone=tokens:10m;
  server {{
    listen 127.0.0.1:{port} reuseport;{listen}
    add_header Cache-Control no-store; add_header Pragma no-cache; add_header X-Request-Id $request_id;
    location / {{ {location} }}
  }}
  server {{
    listen 127.0.0.1:{upstream};
    location / {{ return 200 '{body}'; }}
  }}
}}
"""


# TLS and HTTP/2 beside it. Tickets resume sessions by default; TLS 1.3 is not among 1.22's defaults.
NGINX_SECURE = """
    listen 127.0.0.1:{tls_port} ssl reuseport; ssl_certificate {tls[0]}; ssl_certificate_key {tls[1]};
    ssl_protocols TLSv1.2 TLSv1.3;
    listen 127.0.0.1:{http2_port} http2 reuseport;"""


def nginx(name, body, directory, caching=False, tls=None):
    port, upstream = free_port(), free_port()
    tls_port, http2_port = (free_port(), free_port()) if tls else (None, None)
    location = f"return 200 '{body}';"
    if caching:
        location = f"proxy_pass http://127.0.0.1:{upstream}; proxy_cache tokens; proxy_cache_valid 200 1h;"
    directory = directory / name.replace(" ", "-")
    directory.mkdir()
    configuration = directory / "nginx.conf"
    configuration.write_text(
        NGINX.format(
            directory=directory, port=port, upstream=upstream, body=body, location=location,
            listen=NGINX_SECURE.format(tls=tls, tls_port=tls_port, http2_port=http2_port) if tls else "",
            # Started as root, its workers would be someone who may not enter the directory.
            user="user root; " if os.geteuid() == 0 else "",
        )
    )
    command = ["nginx", "-e", "/dev/null", "-c", str(configuration)]
    return Peer(name, command, port, tls_port=tls_port, http2_port=http2_port)
