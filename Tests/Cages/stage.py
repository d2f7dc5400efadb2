"""A tenant and brokers that stand in cages, and what it means that a broker serves."""

import base64
import concurrent.futures
import contextlib
import http.client
import json
import pathlib
import re
import signal
import subprocess
import sys
import time
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "Interop"))
from processes import Process, ask, write  # noqa: E402

# How long whatever has no event of its own is asked for again and again, in seconds. A cage makes slow.
PATIENCE = 120


def audience(number):
    return f"https://{number}.example.com/"


def path(audience):
    return "/token/" + urllib.parse.quote(audience, safe="")


def claims(token):
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


class Skipped(Exception):
    """This machine cannot make the cage."""


class Cage:
    """None: what stands in it sees the machine as it is. Others change the command line, the environment, and where the
    directory of the play is seen."""

    environment = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def command(self, words, place):
        return words

    def seen(self, file):
        return file


class Tenant(Process):
    """The development tenant as a process of its own. It takes orders."""

    def __init__(self, executable, place, environment=None, state=()):
        super().__init__("tenant", [executable, 100_000, *state], place, environment)
        self.certificate = place / "tenant.pem"

    def start(self):
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                self.command, env=self.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the tenant has ended:\n{self.tail()}")
        self.facts = json.loads(line)
        write(self.certificate, self.facts["certificate"])

    def end(self):
        super().end()
        for pipe in (self.process.stdin, self.process.stdout) if self.process else ():
            with contextlib.suppress(OSError):
                pipe.close()

    def order(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        if self.process.stdout.readline() != "ok\n":
            raise RuntimeError(f"the tenant does not take '{line}'")


class Broker(Process):
    def __init__(self, executable, place, tenant, cage, name="broker", **settings):
        configuration = {
            "auth0": {
                "domain": tenant.facts["AUTH0_DOMAIN"],
                "clientId": tenant.facts["AUTH0_CLIENT_ID"],
                "clientSecretFile": str(cage.seen(place / "secret")),
                "caFile": str(cage.seen(tenant.certificate)),
            },
            "listen": ["127.0.0.1:0"],
            "admin": {"listen": "127.0.0.1:0"},
            "log": {"format": "json"},
            **settings,
        }
        write(place / "secret", tenant.facts["AUTH0_CLIENT_SECRET"])
        file = write(place / f"{name}.yaml", json.dumps(configuration, indent=1))  # JSON is YAML, too.
        self.tenant = tenant
        words = [cage.seen(executable), "serve", "--config", cage.seen(file)]
        super().__init__(name, cage.command([str(word) for word in words], place), place, cage.environment)

    def start(self):
        super().start()
        serving = self.wait("line that says 'serving'", lambda: self.said("serving"), PATIENCE)
        self.address, self.workers = serving["addresses"], serving["workers"]
        self.admin = f"http://{serving['admin']}"

    def lines(self):
        for line in self.log.read_text(errors="replace").splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                yield json.loads(line)

    def said(self, message):
        return next((line for line in self.lines() if line["message"] == message), None)

    def connect(self):
        host, port = self.address.rsplit(":", 1)
        return http.client.HTTPConnection(host, int(port), timeout=PATIENCE)

    def token(self, audience, connection=None):
        """Status and body of the answer."""
        own = connection or self.connect()
        own.request("GET", path(audience))
        answer = own.getresponse()
        status, body = answer.status, json.loads(answer.read() or b"{}")
        if not connection:
            own.close()
        return status, body

    def tokens(self, numbers, at_once=4):
        """Asks for the token of each audience, and returns what is wrong with answers, if anything is."""

        def some(part):
            connection, wrong = self.connect(), []
            for number in part:
                status, body = self.token(audience(number), connection)
                if status != 200 or claims(body["access_token"])["aud"] != audience(number):
                    wrong.append(f"{audience(number)}: {status} {json.dumps(body)[:200]}")
            connection.close()
            return wrong

        parts = [numbers[start::at_once] for start in range(at_once) if numbers[start::at_once]]
        with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
            return [fault for wrong in pool.map(some, parts) for fault in wrong]

    def metric(self, name):
        status, text = ask(f"{self.admin}/metrics")
        found = re.search(rf"^{re.escape(name)}(?:\{{[^}}]*\}})? (\S+)", text, re.M)
        return float(found[1]) if status == 200 and found else None

    def status(self):
        status, text = ask(f"{self.admin}/status.json")
        return json.loads(text) if status == 200 else {}

    def drained(self, number):
        """Its end status, and how it answers what was asked for before it was told to end: a token that the tenant takes
        its time over."""
        self.tenant.order("latency 500")
        connection = self.connect()
        connection.request("GET", path(audience(number)))
        self.wait("request that is in flight", lambda: self.status()["clients"][0]["in_flight"], PATIENCE)
        self.process.send_signal(signal.SIGTERM)
        answer = connection.getresponse()
        answer.read()
        connection.close()
        self.tenant.order("latency 0")
        return self.process.wait(PATIENCE), answer.status

    def refusal(self):
        """Its end status, and all that it says, where it cannot start."""
        Process.start(self)
        try:
            status = self.process.wait(30)
        finally:
            self.end()
        return status, self.log.read_text(errors="replace").splitlines()


def serves(broker, verdicts, tokens=50):
    """Tokens, from the tenant and again from the cache; metrics; the report; an end that leaves nothing unanswered."""
    verdicts.expect("tokens that are not as they should be", [], broker.tokens(range(tokens))[:3])
    verdicts.expect("the same again", [], broker.tokens(range(tokens))[:3])
    verdicts.expect("tokens minted, as metrics have it", tokens, broker.metric("token_broker_tokens_minted_total"))
    verdicts.expect("condition, as the report has it", "ok", broker.status().get("condition"))
    verdicts.expect("end status, and what was in flight", (0, 200), broker.drained(tokens))


def refuses(broker, verdicts, *words):
    """It ends with one line that says what it needs, in these words. Returns that."""
    status, lines = broker.refusal()
    verdicts.require("ends with a status that is not 0", status > 0, status)
    verdicts.require(f"says in one line what it needs ({', '.join(words)})",
                     len(lines) == 1 and all(word in lines[0] for word in words), " | ".join(lines)[:400])
    return " | ".join(lines)


def eventually(what, find, seconds=PATIENCE):
    deadline = time.monotonic() + seconds
    while not (found := find()):
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what}: not within {seconds} s")
        time.sleep(0.05)  # There is no event for what another program does.
    return found
