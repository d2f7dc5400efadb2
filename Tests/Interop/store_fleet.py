"""Several brokers that share a store, a tenant that counts what it gives, and callers."""

import collections
import concurrent.futures
import contextlib
import dataclasses
import http.client
import itertools
import json
import pathlib
import random
import re
import threading
import time
import urllib.parse

from harness import Broker
from processes import ask, write
from proxy_harness import Server
from store_processes import eventually

FLEET = pathlib.Path(__file__).parents[2] / "docs/fleet.md"
USER, PASSWORD = "token-broker", "a p@ssword/of the brokers"


def rights():
    """What docs/fleet.md tells to give the brokers' user: the one line there that names its keys."""
    line, = (line for line in FLEET.read_text().splitlines() if "~token-broker:" in line)
    return [word for word in line.split() if word[0] in "~&+-%"]


def user(password):
    """The command that makes a server know the brokers' user, with this password alone."""
    return ["ACL", "SETUSER", USER, "reset", "on", f">{password}", *rights()]


def url(scheme, address):
    return f"{scheme}://{USER}@{address}"


class Tenant(Server):
    """An authorization server that takes its time, and counts by audience what it gives."""

    def __init__(self, seconds=0.05):
        super().__init__(self.give)
        self.seconds, self.mints, self.lock = seconds, collections.Counter(), threading.Lock()

    def give(self, _, body):
        audience, = urllib.parse.parse_qs(body.decode())["audience"]
        with self.lock:
            self.mints[audience] += 1
            number = self.mints[audience]
        time.sleep(self.seconds)
        return 200, {}, {"access_token": f"{audience}#{number}", "token_type": "Bearer", "expires_in": 86400}


class Fleet(contextlib.ExitStack):
    """Brokers with one tenant and one store."""

    def __init__(self, executable, place, store, count=3, audiences=1000, tenant_seconds=0.05):
        """`store`: its URL without a password."""
        super().__init__()
        self.executable, self.place, self.tenant = executable, place, Tenant(tenant_seconds)
        self.audiences = [f"https://{number}.example.com/" for number in range(audiences)]
        self.next_audience, self.brokers = itertools.count(), []
        place.mkdir(parents=True)
        self.password_file = write(place / "password", PASSWORD)
        self.store = {"url": store, "passwordFile": str(self.password_file)}
        self.count = count

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.tenant)
            for _ in range(self.count):
                self.start_broker(stack)
            self.push(stack.pop_all().__exit__)
        return self

    def start_broker(self, stack=None):
        """One more."""
        client = {
            "provider": "oauth2", "tokenURL": f"http://{self.tenant.address}/token", "clientId": "id",
            "clientSecret": "secret", "authMethod": "client_secret_post",
        }
        audiences = [{"audience": audience, "client": "server", "verify": "opaque"} for audience in self.audiences]
        configuration = {"clients": {"server": client}, "audiences": audiences, "store": self.store}
        home = self.place / str(len(self.brokers))
        home.mkdir()
        broker = (stack or self).enter_context(Broker(self.executable, home, json.dumps(configuration)))
        self.brokers.append(broker)
        return broker

    def check_lives(self):
        """Throws where a broker has ended."""
        for broker in self.brokers:
            if broker.process.poll() is not None:
                said = [line for line in broker.log.read_text().splitlines() if line and not line.startswith("{")]
                raise RuntimeError(f"a broker has ended with status {broker.process.returncode}: {said[:2]}")

    def fresh(self):
        """An audience that nobody has asked for yet."""
        return self.audiences[next(self.next_audience)]

    def wait_for_store(self, seconds=10):
        """Until each broker says that it can use its store."""
        eventually("store that all can use", lambda: all(store_is_up(broker) for broker in self.brokers), seconds)

    def mints(self, audiences):
        return sum(self.tenant.mints[audience] for audience in audiences)


def store_is_up(broker):
    _, text = ask(f"{broker.admin_url}/metrics")
    return re.search(r"^token_broker_store_up(?:\{.*\})? 1$", text, re.M) and not refused(broker)


def refused(broker):
    """Which operations a broker says that its store does not do."""
    _, text = ask(f"{broker.admin_url}/metrics")
    return re.findall(r'^token_broker_store_condition\{operation="(\w+)"\} 0$', text, re.M)


@dataclasses.dataclass
class Answer:
    audience: str
    start: float  # of the request, by the monotonic clock
    seconds: float
    error: str | None  # what is wrong with it, if anything is


def request(broker, audience):
    start, error = time.monotonic(), None
    host = broker.url.removeprefix("http://")
    try:
        with contextlib.closing(http.client.HTTPConnection(host, timeout=40)) as connection:
            connection.request("GET", f"/token/{urllib.parse.quote(audience, safe='')}")
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != 200:
                error = f"{answer.status} {body[:200]}"
            elif not json.loads(body)["access_token"].startswith(f"{audience}#"):
                error = f"a token for another audience than {audience}: {body[:200]}"
    except (OSError, http.client.HTTPException) as problem:
        error = repr(problem)
    return Answer(audience, start, time.monotonic() - start, error)


class Load:
    """Callers who ask by a schedule of seconds, brokers and audiences, while a `with` lasts or the schedule does."""

    def __init__(self, schedule):
        self.schedule, self.requests, self.finished = schedule, [], threading.Event()
        self.pool = concurrent.futures.ThreadPoolExecutor(200)
        self.thread = threading.Thread(target=self.run)

    def run(self):
        for due, broker, audience in self.schedule:
            if self.finished.wait(max(0, self.start + due - time.monotonic())):
                break
            self.requests.append(self.pool.submit(request, broker, audience))

    def __enter__(self):
        self.start = time.monotonic()
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.finished.set()
        self.wait()

    def wait(self):
        """Until the schedule is over and all is answered, or has had its time."""
        self.thread.join()
        self.pool.shutdown()
        self.answers = [each.result() for each in self.requests]

    def audiences(self, since=0):
        """Those that were asked for, the first time after `since`."""
        first = {}
        for answer in sorted(self.answers, key=lambda answer: answer.start):
            first.setdefault(answer.audience, answer.start)
        return [audience for audience, start in first.items() if start >= since]


def steady(fleet, rate):
    """So many new audiences a second, each asked for at once from all brokers, and with each an older one from one of
    them."""
    asked = []
    for number in itertools.count():
        audience = fleet.fresh()
        for broker in fleet.brokers:
            yield number / rate, broker, audience
        asked.append(audience)
        yield number / rate, random.choice(fleet.brokers), random.choice(asked)
