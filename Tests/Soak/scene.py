"""Who takes part in a soak: a tenant, Redis, brokers, and what they need. All on loopback."""

import base64
import collections
import contextlib
import hashlib
import json
import os
import pathlib
import re
import resource
import secrets
import signal
import socket
import ssl
import subprocess
import threading
import time
import urllib.request

HOT, AUDIENCES = 20, 100_000
# Of a token, in seconds. It is replaced between 72 and 60 seconds before its end, and served until 30 before it: whoever
# asks for it does not notice that the tenant is away for as long as lies between.
LIFETIME, RESERVED, UNSEEN = 300, 30, 30
# How long brokers may take to give a store back what it has lost.
MENDING = 15


def audience(number):
    return f"https://{number}.example.com/"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(what, seconds, condition):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what}: not within {seconds} s")
        time.sleep(0.02)


def replace(path, text):
    """As an editor, or a mounted Secret, replaces a file: at once."""
    other = path.with_name(path.name + ".new")
    other.write_text(text)
    other.rename(path)


class Process:
    """A program that is started, killed, and started again; what it says on standard error is kept."""

    running, starting = set(), threading.Lock()

    def __init__(self, name, command, directory, environment=None, pipe=None):
        self.name, self.command, self.environment = name, [str(word) for word in command], environment or {}
        self.log, self.pipe, self.process = directory / f"{name}.log", pipe, None

    def start(self):
        with self.starting, self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command, env={"PATH": os.environ["PATH"], **self.environment}, stdin=self.pipe,
                stdout=self.pipe or subprocess.DEVNULL, stderr=log, text=True,
            )
            self.running.add(self.process)

    def kill(self):
        self.process.kill()
        self.process.wait(20)

    def end(self):
        """Asks it to end, and returns how it has."""
        self.process.terminate()
        return self.process.wait(30)

    @contextlib.contextmanager
    def stopped(self):
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    @classmethod
    def end_all(cls):
        """None can be started any more."""
        cls.starting.acquire()
        for process in cls.running:
            process.kill()
            process.wait(20)

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def kib(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status).group(1))


class Tenant(Process):
    def __init__(self, executable, directory):
        command = [executable, AUDIENCES, free_port(), directory / "tenant.json"]
        super().__init__("tenant", command, directory, pipe=subprocess.PIPE)
        self.turn, self.earlier = threading.Lock(), collections.Counter()
        self.certificate = directory / "tenant.pem"
        self.start()
        self.secrets = [self.facts["AUTH0_CLIENT_SECRET"]]
        self.certificate.write_text(self.facts["certificate"])
        self.order(f"lifetime {LIFETIME}")

    def start(self):
        super().start()
        self.facts = json.loads(self.process.stdout.readline())

    def order(self, line):
        with self.turn:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
            if self.process.stdout.readline() != "ok\n":
                raise RuntimeError(f"the tenant does not take '{line}'")

    def minted(self):
        """How many tokens it has minted, in all its lives, by audience."""
        trust = ssl.create_default_context(cafile=self.certificate)
        url = f"{self.facts['AUTH0_DOMAIN']}/dev/statistics"
        with urllib.request.urlopen(url, context=trust, timeout=10) as answer:
            return self.earlier + collections.Counter(json.load(answer)["mints_by_audience"])

    def kill(self):
        self.earlier = self.minted()
        super().kill()


class Redis(Process):
    """One that keeps nothing on a disk: when it is killed, all is lost."""

    def __init__(self, directory):
        self.path = directory / "redis.sock"
        options = ["--port", "0", "--unixsocket", self.path, "--save", "", "--dir", directory]
        super().__init__("redis", ["redis-server", *options, "--enable-debug-command", "local"], directory)
        self.url = f"redis+unix://{self.path}"
        # When it was last out of reach.
        self.away = float("-inf")
        self.start()

    def start(self):
        super().start()
        wait_until("redis-server", 20, lambda: self.tell("ping") == "PONG\n")

    def tell(self, *words):
        command = ["redis-cli", "-s", self.path, *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=30).stdout


class Disk:
    """Where the file store is: a file system of its own, as small as can be filled."""

    def __init__(self, directory):
        self.path = directory / "disk"

    def __enter__(self):
        self.path.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", self.path], check=True)
        return self

    def __exit__(self, *_):
        subprocess.run(["umount", "--lazy", self.path], check=True)

    @contextlib.contextmanager
    def full(self):
        filler = self.path / "filler"
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(bytes(4096)):
                pass
        try:
            yield
        finally:
            filler.unlink()


class Authority:
    """Makes the certificates of the brokers and of a caller."""

    def __init__(self, directory):
        self.directory = directory
        self.file, self.certificate, self.key = (directory / name for name in ("ca.crt", "broker.crt", "broker.key"))
        self.caller = directory / "caller.crt", directory / "caller.key"
        self.openssl("req", "-x509", *self.new_key("ca"), "-out", "ca.crt", "-subj", "/CN=soak", "-days", "2",
                     "-addext", "keyUsage=critical,digitalSignature,keyCertSign")
        self.issue("caller", "DNS:caller.soak")
        self.renew()

    def new_key(self, name):
        return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key"]

    def openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], cwd=self.directory, check=True, capture_output=True, timeout=60)

    def issue(self, name, names):
        (self.directory / "extensions").write_text(
            f"subjectAltName={names}\nbasicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n"
            "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n")
        self.openssl("req", *self.new_key(name), "-out", "request", "-subj", f"/CN={name}")
        authority = ["-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2"]
        self.openssl("x509", "-req", "-in", "request", *authority, "-out", f"{name}.crt", "-extfile", "extensions")

    def renew(self):
        self.issue("next", "IP:127.0.0.1")
        # For a moment they do not belong together: brokers must keep those that did.
        (self.directory / "next.key").rename(self.key)
        (self.directory / "next.crt").rename(self.certificate)


class Broker(Process):
    def __init__(self, name, executable, world, store):
        self.world, self.store, self.port, self.admin = world, store, free_port(), free_port()
        self.file, self.refresh_interval = world.directory / f"{name}.yaml", 30
        # Since when it lives, and whether it began without tokens that an earlier life had.
        self.born, self.lacks_tokens = 0, False
        self.write()
        super().__init__(name, [executable, "serve"], world.directory, {"BROKER_CONFIG": str(self.file)})
        self.start()

    def write(self, more=""):
        """Its configuration, with more behind it."""
        replace(self.file, self.world.configuration(self) + more)

    def start(self):
        super().start()
        wait_until(f"broker {self.name} serves", 20, self.is_serving)
        self.limit = resource.prlimit(self.process.pid, resource.RLIMIT_NOFILE)

    def is_cold(self):
        """Whether callers may find tokens gone that were there in an earlier life."""
        return self.lacks_tokens and time.monotonic() < self.born + LIFETIME

    def count(self, message):
        """How many times it has said that."""
        return self.log.read_text().count(f'"message":"{message}"')

    @contextlib.contextmanager
    def saying(self, message):
        """It must say that once more."""
        before = self.count(message)
        yield
        wait_until(f"broker {self.name} says '{message}'", 30, lambda: self.count(message) > before)

    def certificate(self):
        """What it shows; nothing while it cannot be reached."""
        try:
            return ssl.get_server_certificate(("127.0.0.1", self.port), timeout=5)
        except OSError:
            return None

    def is_serving(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"broker {self.name} ended with {self.process.returncode}")
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/healthz", timeout=1).close()
            return True
        except OSError:
            return False


class World:
    """Brokers a and c share what they have by Redis, b has a file."""

    def __init__(self, executable, tenant, directory, disk):
        self.directory, self.disk = directory, disk
        # By caller. The second may have one audience.
        self.keys = {name: "tb_" + secrets.token_urlsafe(32) for name in ("trusted", "narrow")}
        self.secret_file, self.store_key = directory / "secret", directory / "store-key"
        self.store_key.write_text(base64.b64encode(secrets.token_bytes(32)).decode())
        self.authority = Authority(directory)
        self.tenant = Tenant(tenant, directory)
        self.secret_file.write_text(self.tenant.secrets[-1])
        self.redis = Redis(directory)
        stores = {"a": self.redis.url, "b": f"file:{self.disk.path}/tokens", "c": self.redis.url}
        self.brokers = {name: Broker(name, executable, self, store) for name, store in stores.items()}

    def configuration(self, broker):
        digests = {name: hashlib.sha256(key.encode()).hexdigest() for name, key in self.keys.items()}
        # JSON is YAML, too.
        return json.dumps({
            "auth0": {
                "domain": self.tenant.facts["AUTH0_DOMAIN"],
                "clientId": self.tenant.facts["AUTH0_CLIENT_ID"],
                "clientSecretFile": str(self.secret_file),
                "caFile": str(self.tenant.certificate),
            },
            "callers": {
                "trusted": {"bearerSHA256": [digests["trusted"]], "audiences": ["*"]},
                "narrow": {"bearerSHA256": [digests["narrow"]], "audiences": [audience(0)]},
                "certified": {"clientCertificate": ["dns:caller.soak"], "audiences": ["*"]},
            },
            "listen": [f"https://127.0.0.1:{broker.port}"],
            "admin": {"listen": f"127.0.0.1:{broker.admin}"},
            "tls": {
                "certificateFile": str(self.authority.certificate),
                "keyFile": str(self.authority.key),
                "clientCAFile": str(self.authority.file),
            },
            "store": {"url": broker.store, "keyFile": str(self.store_key)},
            # Soon full of audiences that were asked for once, so that growth is a leak, and none of those is replaced.
            "cache": {"maxEntries": 250, "minRefreshInterval": f"{broker.refresh_interval}s"},
            # A line for each token would fill the disk.
            "log": {"level": "info", "audit": False},
        }, indent=1)
