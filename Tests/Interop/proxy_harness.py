"""Reverse proxies before an application, with a token from the broker, and before the broker: what goes wrong."""

import contextlib
import hashlib
import http.client
import http.server
import json
import pathlib
import threading
import urllib.parse

from harness import Broker
from processes import Process, free_port, write

SNIPPETS = pathlib.Path(__file__).parents[2] / "deploy/proxies"
API = "https://api.example.com/"
KEY, OTHER_KEY = "tb_the-proxy", "tb_another"
# What the snippets have for their reader to replace, beside what each proxy's module names.
PLACEHOLDERS = {"127.0.0.1:8080": "{broker}", "tb_REPLACE_ME": KEY}
http.client._MAXHEADERS = 1000  # that the application takes


class Server(http.server.ThreadingHTTPServer):
    """Serves on a loopback port of its own, in a thread of its own, while a `with` lasts."""

    daemon_threads = True

    def __init__(self, answer):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status, fields, value = answer(self, body)
                text = json.dumps(value).encode()
                self.send_response(status)
                for field in {"Content-Type": "application/json", "Content-Length": len(text), **fields}.items():
                    self.send_header(*map(str, field))
                self.end_headers()
                self.wfile.write(text)

            do_POST = do_GET

            def log_message(self, *_):
                pass

            def handle(self):
                with contextlib.suppress(ConnectionError):
                    super().handle()

        super().__init__(("127.0.0.1", 0), Handler)
        self.address = "127.0.0.1:%d" % self.server_port
        self.thread = threading.Thread(target=self.serve_forever)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()
        self.thread.join()


def application(request, body):
    """Says what it was sent."""
    fields = {name.lower() for name in request.headers}
    return 200, {}, {"authorization": request.headers.get_all("Authorization"), "fields": len(fields), "body": len(body)}


TOKENS = {"/usual": "usual-token", "/large": "large-" + "t" * 20 * 1024}


def tenant(request, _):
    """An authorization server by its path: of usual and of large tokens, and one that is asked too often."""
    if request.path in TOKENS:
        return 200, {}, {"access_token": TOKENS[request.path], "token_type": "Bearer", "expires_in": 3600}
    return 429, {"Retry-After": 19}, {"error": "too_many_requests"}


class ProxyBroker(Broker):
    """The binary at an address, with the tenant's part as its tenant."""

    def __init__(self, executable, place, address, tenant, part="/usual", key=KEY, more={}):
        client = {
            "provider": "oauth2", "tokenURL": f"http://{tenant.address}{part}", "clientId": "id",
            "clientSecret": "secret", "authMethod": "client_secret_post",
        }
        configuration = {
            "clients": {"server": client}, "audiences": [{"audience": API, "client": "server", "verify": "opaque"}],
            "callers": {"proxy": {"bearerSHA256": [hashlib.sha256(key.encode()).hexdigest()], "audiences": ["*"]}},
            **more,
        }
        super().__init__(executable, place, json.dumps(configuration))
        self.environment["BROKER_LISTEN"] = address


class Proxy(Process):
    def __init__(self, name, command, place, address):
        super().__init__(name, command, place, port=int(address.split(":")[1]))
        self.address = address

    def start(self):
        super().start()
        # Traefik listens before it knows its routes.
        self.wait("route", lambda: self.ask()[2] != "404 page not found\n")

    def ask(self, path="/orders/1", fields=(), body=None):
        """Status, fields and body of the answer."""
        connection = http.client.HTTPConnection(self.address, timeout=30)
        with contextlib.closing(connection):
            connection.putrequest("POST" if body else "GET", path)
            for name, value in fields:
                connection.putheader(name, value)
            if body:
                connection.putheader("Content-Length", len(body))
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read().decode(errors="replace")


def prepared(module, place, addresses):
    """Our snippets as their reader would have them, in files of their own."""
    ports = {f"{name}_port": address.split(":")[1] for name, address in addresses.items()}
    files, place = {}, place / "snippets"
    place.mkdir()
    for name, replacements in module.SNIPPETS.items():
        text = (SNIPPETS / name).read_text()
        for old, new in {**replacements, **PLACEHOLDERS}.items():
            if old in PLACEHOLDERS and old not in text:
                continue
            assert old in text, f"{name} has no '{old}'"
            new = new.replace("{place}", str(place))
            for key, value in {**addresses, **ports}.items():
                new = new.replace("{%s}" % key, value)
            text = text.replace(old, new)
        files[name] = write(place / name, text)
    return files


# Each is sent, and must not keep the token from the application.
REQUESTS = {
    "a token": {},
    "the client's own Authorization gives way": {"fields": [("Authorization", "Bearer of-the-client")]},
    "Authorization is named in Connection": {
        "fields": [("Authorization", "Bearer x"), ("Connection", "close, Authorization")]},
    "a header of 20 KiB": {"fields": [(f"X-Large-{number}", "x" * 5 * 1024) for number in range(4)]},
    "120 fields": {"fields": [(f"X-Field-{number}", "x") for number in range(120)]},
}


def play(name, module, executable, folder, place, verdicts):
    """Puts a proxy through all that it can do, each in a folder of its own."""
    for part in [forward, slashes, restart][:3 if module.RESTARTS else 2]:
        home = place / part.__name__
        home.mkdir()
        part(name, module, executable, folder, home, verdicts)


def forward(name, module, executable, folder, place, verdicts):
    """The nine conditions of a proxy that adds a token."""
    with Server(application) as app, Server(tenant) as server:
        addresses = {"application": app.address, **{name: f"127.0.0.1:{free_port()}" for name in ("proxy", "broker")}}
        files = prepared(module, place, addresses)
        command = module.forward(folder, place, addresses, files)

        def broker(*arguments):
            return ProxyBroker(executable, place, addresses["broker"], server, *arguments)

        def expect_token(what, token, **request):
            status, _, body = proxy.ask(**request)
            holds = status == 200 and json.loads(body)["authorization"] == [f"Bearer {token}"]
            holds = holds or status == module.EXPECTED.get(what)
            verdicts.require(what, holds, f"{status} {body}"[:120])

        def expect_none(what, *arguments):
            status, fields, body = proxy.ask()
            holds = status in (502, 503, module.EXPECTED.get(what)) and "www-authenticate" not in fields
            verdicts.require(what, holds and "example.com" not in body, f"{status} {body!r}"[:120])
            return status, fields

        with contextlib.ExitStack() as stack:
            with broker():
                proxy = stack.enter_context(Proxy(name, command, place, addresses["proxy"]))
                for what, request in REQUESTS.items():
                    expect_token(what, TOKENS["/usual"], **request)
            with broker("/large"):
                expect_token("a token of 20 KiB, and a body", TOKENS["/large"], body=b"x" * 3000)
            with broker("/usual", OTHER_KEY):
                expect_none("a wrong key")
            with broker("/limited"):
                status, fields, _ = proxy.ask()
                retry = fields.get("Retry-After")
                expected = module.EXPECTED.get("Retry-After", "a while")
                holds = status == 503 and (retry is None if expected is None else retry and 0 < int(retry) < 20)
                verdicts.require("503 with Retry-After", holds, f"{status} {retry}")
            expect_none("the broker is down")
        if verdicts.failures:
            print(proxy.tail()[-3000:], flush=True)


def slashes(_, module, executable, folder, place, verdicts):
    """What becomes of an audience with slashes on the way to the broker, by how the proxy is told to pass it on."""
    encoded, plain = urllib.parse.quote(API, safe=""), API
    with Server(tenant) as server:
        address = f"127.0.0.1:{free_port()}"
        with ProxyBroker(executable, place, address, server, "/usual"):
            for how, expected in module.SLASHES.items():
                front = f"127.0.0.1:{free_port()}"
                path = "/broker/token/" if "/broker/" in how else "/token/"
                command = module.pass_on(folder, place, front, [address], how)
                with Proxy("pass-on", command, place, front) as proxy:
                    fields = [("Authorization", f"Bearer {KEY}")]
                    answers = tuple(proxy.ask(path + audience, fields)[0] for audience in (encoded, plain))
                    verdicts.expect(f"%2F and / with {how}", expected, answers)
                    if answers != expected:
                        print(proxy.tail()[-2000:], flush=True)


def restart(_, module, executable, folder, place, verdicts, requests=10_000, at_once=8):
    """One of two brokers is restarted under a load that the proxy shares between them."""
    with Server(tenant) as server, contextlib.ExitStack() as stack:
        front, *backs = (f"127.0.0.1:{free_port()}" for _ in range(3))
        brokers = []
        for number, back in enumerate(backs):
            home = place / str(number)
            home.mkdir()
            more = {"shutdown": {"delay": "3s"}}
            brokers.append(stack.enter_context(ProxyBroker(executable, home, back, server, more=more)))
        proxy = stack.enter_context(Proxy("share", module.share(folder, place, front, backs), place, front))
        path = "/token/" + urllib.parse.quote(API, safe="")
        results, lock, under_way = [], threading.Lock(), threading.Semaphore(0)
        finished = threading.Event()

        def load():
            connection = http.client.HTTPConnection(front, timeout=30)
            while not finished.is_set() or len(results) < requests:
                try:
                    connection.request("GET", path, headers={"Authorization": f"Bearer {KEY}"})
                    with connection.getresponse() as answer:
                        answer.read()
                        result = answer.status
                except (OSError, http.client.HTTPException) as error:
                    result = repr(error)
                    connection.close()
                with lock:
                    results.append(result)
                under_way.release()
            connection.close()

        threads = [threading.Thread(target=load) for _ in range(at_once)]
        for thread in threads:
            thread.start()
        for _ in range(1000):
            under_way.acquire()
        brokers[0].end()  # SIGTERM, and until it has ended
        brokers[0].start()
        finished.set()
        for thread in threads:
            thread.join()
        failures = [result for result in results if result != 200]
        verdicts.require(
            "a restart", not failures and len(results) >= requests, f"{len(failures)} failures of {len(results)}")
        if failures:
            print({failure: failures.count(failure) for failure in set(failures)}, flush=True)
