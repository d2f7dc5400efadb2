"""What the broker must do whichever libraries it has, each a row of the table. A condition raises Wrong where it does
not, and Skipped where that cannot be seen here."""

import concurrent.futures
import itertools
import json
import os
import pathlib
import re
import socket
import struct
import subprocess
import time

from libraries import NAMES
from packages import Skipped
from processes import free_port, write
from tenants import Closing, Disowning, Losing, Tenant
from world import KEY, WAYS, client, curl


class Wrong(Exception):
    """What was seen instead of what is expected."""


def expect(what, expected, actual):
    if expected != actual:
        raise Wrong(f"{what}: {actual}, where {expected} is expected")


def asked_at_once(broker, name, count):
    paths = [broker.path(name) for _ in range(count)]
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        return list(pool.map(broker.ask, paths))


# MARK: The broker itself


def start(scene):
    """The libraries that are loaded are those that were meant, one file of each; the log's first line tells them."""
    mapped = scene.broker.mapped
    for name, files in mapped.items():
        expect(f"files of {name}", 1, len(files))
        place = scene.libraries.folder if has(scene.libraries, name) else pathlib.Path("/usr/lib")
        if not next(iter(files)).startswith(f"{place}/"):
            raise Wrong(f"{name} is {files}, not of {place}")
    told = dict(word.split("/") for word in scene.broker.serving["libraries"].split())
    expect("versions", {**told, **scene.libraries.versions}, told)
    scene.told = told


def has(libraries, name):
    return libraries.folder and (libraries.folder / NAMES[name]).exists()


def drain(scene):
    """A request that is being answered when the broker is told to end is answered, and it ends with status 0."""
    with scene.another({"held": client(scene.held.url, scene.files)}) as broker:
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            answer = pool.submit(broker.ask, broker.path("held"))
            broker.wait("request to the tenant", lambda: scene.held.asked)
            broker.process.terminate()
            broker.wait("line that says 'draining'", lambda: '"draining"' in broker.log.read_text())
            scene.held.may.set()
            expect("answer", 200, answer.result(30))
        expect("exit status", 0, broker.process.wait(30))


# MARK: Callers


def front(scene, *options, secure=False):
    path = scene.path
    if secure:
        return curl("--cacert", scene.files / "ca.crt", *options, scene.broker.secure_url + path)
    return curl(*options, scene.broker.url + path)


AUTHORIZATION = ["--header", f"Authorization: Bearer {KEY}"]


def http1(scene):
    expect("a token", "200 1.1", front(scene, "--http1.1", *AUTHORIZATION))
    expect("without a key", "401 1.1", front(scene, "--http1.1"))


def http2(scene):
    expect("a token", "200 2", front(scene, "--http2-prior-knowledge", *AUTHORIZATION))
    expect("without a key", "401 2", front(scene, "--http2-prior-knowledge"))


def tls(scene):
    for version in ("1.2", "1.3"):
        limits = [f"--tlsv{version}", "--tls-max", version, *AUTHORIZATION]
        expect(f"TLS {version}, HTTP/2", "200 2", front(scene, *limits, secure=True))
        expect(f"TLS {version}, HTTP/1.1", "200 1.1", front(scene, "--http1.1", *limits, secure=True))
    expect("TLS 1.1", "error 35", front(scene, "--tls-max", "1.1", secure=True))


def mtls(scene):
    def shown(name, *options):
        identity = ["--cert", scene.files / f"{name}.crt", "--key", scene.files / f"{name}.key"]
        return front(scene, *identity, *options, secure=True)

    for version in ("1.2", "1.3"):
        expect(f"TLS {version}, a caller's", "200 2", shown("caller", "--tls-max", version))
        refused = shown("impostor", "--tls-max", version)
        if not refused.startswith("error"):
            raise Wrong(f"TLS {version}, one of another authority: {refused}, where the handshake fails")
    expect("none", "401 2", front(scene, secure=True))


# Fields that a request by HTTP/2 must not have (RFC 9113 §8.2).
MALFORMED = {"a field of connections": ("connection", "close"), "an upper-case name": ("X-Upper", "a")}


def malformed(scene):
    """A malformed request costs its own stream and no other."""
    for what, field in MALFORMED.items():
        address, _, port = scene.broker.url.removeprefix("http://").rpartition(":")
        with socket.create_connection((address, int(port)), timeout=30) as connection:
            good = [(":method", "GET"), (":scheme", "http"), (":authority", address), (":path", "/healthz")]
            requests = [(1, good), (3, [*good, field]), (5, good)]
            connection.sendall(
                b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0) + b"".join(
                    frame(1, 5, stream, b"".join(map(literal, fields))) for stream, fields in requests))
            seen = {}
            with connection.makefile("rb") as reader:
                while len(seen) < 3 and (head := reader.read(9)):
                    kind, flags, stream = head[3], head[4], int.from_bytes(head[5:], "big")
                    payload = reader.read(int.from_bytes(head[:3], "big"))
                    if kind == 7:
                        raise Wrong(f"{what}: GOAWAY {int.from_bytes(payload[4:8], 'big')}, after answers {seen}")
                    if stream and (kind == 3 or flags & 1):
                        seen[stream] = "reset" if kind == 3 else "answered"
            expect(what, {1: "answered", 5: "answered"}, {stream: how for stream, how in seen.items() if stream != 3})


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def literal(field):
    """A field in HPACK, without Huffman's code and not to be indexed (RFC 7541 §6.2.2)."""
    return b"\0" + b"".join(bytes([len(text)]) + text.encode() for text in field)


# MARK: Tenants


def by_way(way, count):
    def condition(scene):
        before = len(scene.nginx.seen(way))
        expect("tokens", [200] * count, asked_at_once(scene.broker, way, count))
        requests = scene.nginx.seen(way)[before:]
        expect("protocols", {WAYS[way]}, {protocol for protocol, _ in requests})

    return condition


def goaway(scene):
    """nginx ends a connection with its second request, in good order; another server disowns what it was sent."""
    for _ in range(6):
        expect("a token, nginx", 200, scene.broker.ask(scene.broker.path("goaway")))
    connections = {connection for _, connection in scene.nginx.seen("goaway")}
    if len(connections) < 3:
        raise Wrong(f"nginx has ended no connection: {connections}")
    with Disowning(scene.files) as tenant, scene.another({"disowning": client(tenant.url, scene.files)}) as broker:
        expect("a token", 200, broker.ask(broker.path("disowning")))
        expect("four at once", [200] * 4, asked_at_once(broker, "disowning", 4))
        expect("requests on the first connection, and on others", [5, 2], on_first_and_others(tenant))


def idle(scene):
    """A connection that the tenant has closed while it was kept, or under a request, costs nobody an error."""
    for kind, http1 in itertools.product([Closing, Losing], [True, False]):
        how = f"{kind.__name__.lower()}, HTTP/{'1.1' if http1 else '2'}"
        with kind(scene.files, http1) as tenant, scene.another({"it": client(tenant.url, scene.files)}) as broker:
            expect(how, [200] * 3, [broker.ask(broker.path("it")) for _ in range(3)])
            if kind is Closing:
                expect(f"{how}, connections with a request", 3, len(set(tenant.asked)))
            else:
                expect(f"{how}, requests on the first connection, and on others", [2, 2], on_first_and_others(tenant))


def on_first_and_others(tenant):
    first = tenant.asked.count(1)
    return [first, len(tenant.asked) - first]


def dead(scene):
    """Of a name's two addresses the first is dead, and connectTimeout is two seconds."""
    if scene.no_namespace:
        raise Skipped(scene.no_namespace)
    started = time.monotonic()
    expect("a token", 200, scene.broker.ask(scene.broker.path("dead")))
    scene.notes["dead address"] = f"{time.monotonic() - started:.1f} s"


# MARK: check


def check(scene):
    """What `check` says of a tenant that is well, and of what can be wrong with a tenant's TLS."""
    files, well = scene.files, (0, None, None)

    def shown(name):
        names = {"certificateFile": f"{files}/{name}.crt", "certificateKeyFile": f"{files}/{name}.key"}
        return {"authMethod": "tls_client_auth", "clientSecret": None, **names}

    with Tenant(files) as tenant, Tenant(files, clients=files / "ca.crt") as strict:
        for what, url, more, expected in [
            ("a tenant that is well", tenant.url, {}, well),
            ("another authority", tenant.url, {"caFile": f"{files}/rogue.crt"}, (1, "tls", "unknown_authority")),
            ("a client's certificate", strict.url, shown("caller"), well),
            ("a client's certificate of another authority", strict.url, shown("impostor"), (1, "tls", "identity")),
            ("no client's certificate", strict.url, {}, (1, "tls", "identity")),
            ("plain HTTP", scene.broker.url.replace("http:", "https:") + "/", {}, (1, "tls", "no_tls")),
            ("nobody there", f"https://127.0.0.1:{free_port()}/", {}, (1, "tcp", None)),
        ]:
            expect(what, expected, checked(scene, client(url, files, **more)))
    for name, cause in [("expired", "expired"), ("elsewhere", "wrong_host")]:
        with Tenant(scene.shown(name)) as tenant:
            expect(f"a certificate, {name}", (1, "tls", cause), checked(scene, client(tenant.url, files)))


def checked(scene, settings):
    """Exit status, the step that has failed, and the cause that is told."""
    audience = {"audience": "https://0.example.com/", "client": "it", "verify": "opaque"}
    file = write(scene.place / "check.yaml", json.dumps({"clients": {"it": settings}, "audiences": [audience]}))
    environment = {"PATH": os.environ["PATH"], **scene.libraries.environment}
    command = [scene.executable, "check", "--json", "--config", file]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    failed = [finding for finding in json.loads(result.stdout)["checks"] if finding["status"] == "failed"]
    return result.returncode, failed[0]["check"] if failed else None, failed[0].get("cause") if failed else None


CONDITIONS = {
    "start": start, "HTTP/1.1": http1, "HTTP/2": http2, "TLS": tls, "mTLS": mtls, "malformed": malformed,
    "tenant HTTP/1.1": by_way("http1", 8), "tenant HTTP/2": by_way("http2", 8), "dead address": dead,
    "GOAWAY": goaway, "idle closed": idle, "check": check, "drain": drain,
}


# MARK: A libcurl that will not do

ACCOUNT = {"AUTH0_DOMAIN": "tenant.test", "AUTH0_CLIENT_ID": "id", "AUTH0_CLIENT_SECRET": "secret"}
COMMANDS = {"serve": [], "check": ["--no-mint"], "health": ["--url", "http://127.0.0.1:1"]}


def wrong_kind(executable, libraries):
    """With a libcurl that has GnuTLS each command says in one line what it has and what it needs, and ends."""
    environment = {"BROKER_LISTEN": "127.0.0.1:0", "BROKER_ADMIN_LISTEN": "off", **ACCOUNT, **libraries.environment}
    for command, options in COMMANDS.items():
        result = subprocess.run(
            [executable, command, *options], env=environment, capture_output=True, text=True, timeout=60)
        lines = (result.stdout + result.stderr).splitlines()
        expect(f"{command}, exit status", 1, result.returncode)
        if not any(re.search(r"libcurl \S+ does TLS with GnuTLS/\S+, .* needs .* OpenSSL/3", line) for line in lines):
            raise Wrong(f"{command}: {lines}")
