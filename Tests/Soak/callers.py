"""Who asks in a soak: clients that check every answer, and others that are many."""

import base64
import contextlib
import dataclasses
import http.client
import itertools
import json
import re
import ssl
import subprocess
import threading
import time
from urllib.parse import quote

import httpx

import scene


@dataclasses.dataclass
class Error:
    """What a caller did not like. Its kinds: `hot`, a token that was held was not given; `cold`, another one was not;
    `refused`, no connection, or no room; `wrong`, which nothing excuses."""

    broker: str
    kinds: set
    text: str
    start: float
    end: float


def path(audience):
    return "/token/" + quote(audience, safe="")


class HTTP1:
    """A connection that is kept, as most clients do it, which ask again where it was ended meanwhile."""

    def __init__(self, port, context, headers):
        self.connect = lambda: http.client.HTTPSConnection("127.0.0.1", port, timeout=45, context=context)
        self.headers, self.connection, self.ended = headers, None, 0

    def get(self, path):
        if self.connection:
            try:
                return self.ask(path)
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError, ssl.SSLEOFError):
                self.ended += 1
        self.connection = self.connect()
        return self.ask(path)

    def ask(self, path):
        try:
            self.connection.request("GET", path, headers=self.headers)
            answer = self.connection.getresponse()
            body = answer.read()
        except BaseException:
            self.connection.close()
            self.connection = None
            raise
        if answer.will_close:
            self.connection.close()
            self.connection = None
        return answer.status, body


class HTTP2:
    """The same by HTTP/2."""

    def __init__(self, port, context, headers):
        self.open = lambda: httpx.Client(
            http1=False, http2=True, verify=context, headers=headers, timeout=45, trust_env=False)
        self.url, self.client, self.ended = f"https://127.0.0.1:{port}", self.open(), 0

    def get(self, path):
        try:
            return self.ask(path)
        except ConnectionError:
            self.ended += 1
        return self.ask(path)

    def ask(self, path):
        try:
            answer = self.client.get(self.url + path)
            return answer.status_code, answer.content
        except httpx.TransportError as error:
            # httpx holds on to connections that are no more.
            self.client.close()
            self.client = self.open()
            raise ConnectionError(repr(error)) from error


class Caller(threading.Thread):
    """Asks one broker for one audience after the other, each time so many seconds after the last answer."""

    def __init__(self, name, broker, client, kind, audiences, pause, expected=200):
        super().__init__(daemon=True)
        self.caller, self.broker, self.client, self.kind, self.pause = name, broker, client, kind, pause
        self.audiences, self.expected, self.ending = audiences, expected, threading.Event()
        self.answers, self.errors, self.slowest, self.gap, self.last, self.tokens = 0, [], 0, (0, 0), None, {}

    def run(self):
        for audience in self.audiences:
            if self.ending.wait(self.pause):
                return
            self.ask(audience)

    def ask(self, audience):
        start, kinds, text = time.monotonic(), {self.kind}, None
        try:
            status, body = self.client.get(path(audience))
            if status != self.expected:
                kinds, text = self.kinds(status, body), f"{status} {body[:300].decode(errors='replace')}"
            elif status == 200:
                text = self.objection(audience, body)
                if text:
                    kinds = {"wrong"}
        except (OSError, http.client.HTTPException) as error:
            kinds, text = {"refused"}, repr(error)
        end = time.monotonic()
        if text:
            self.errors.append(Error(self.broker.name, kinds, f"{self.caller}: {audience}: {text}", start, end))
            return
        self.answers += 1
        self.slowest = max(self.slowest, end - start)
        if self.last:
            self.gap = max(self.gap, (end - self.last, end))
        self.last = end

    def kinds(self, status, body):
        if status not in (503, 504) or self.expected != 200:
            return {"wrong"}
        with contextlib.suppress(ValueError):
            if json.loads(body)["error"] in ("overloaded", "draining"):
                return {"refused"}
        return {"hot", "cold"} if self.broker.is_cold() else {self.kind}

    def objection(self, audience, body):
        """What is wrong with an answer."""
        now, answer = time.time(), json.loads(body)
        token = answer["access_token"]
        if self.tokens.get(audience, (None,))[0] != token:
            payload = token.split(".")[1]
            self.tokens[audience] = token, json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        claims = self.tokens[audience][1]
        if audience not in ([claims["aud"]] if isinstance(claims["aud"], str) else claims["aud"]):
            return f"a token for {claims['aud']}"
        left = claims["exp"] - now
        if left < scene.RESERVED - 1:
            return f"a token that lives for {left:.1f} s"
        # It may say less: of a token that was long on its way.
        if answer["expires_in"] > left + 1:
            return f"expires_in {answer['expires_in']} of a token that lives for {left:.1f} s"
        return None


class Load(threading.Thread):
    """h2load and wrk, a few seconds at each broker in turn."""

    def __init__(self, world):
        super().__init__(daemon=True)
        self.world, self.ending, self.errors, self.answers = world, threading.Event(), [], 0

    def run(self):
        field = f"Authorization: Bearer {self.world.keys['trusted']}"
        for broker in itertools.cycle(self.world.brokers.values()):
            urls = [f"https://127.0.0.1:{broker.port}{path(scene.audience(number))}" for number in range(scene.HOT)]
            self.measure(
                broker, ["h2load", "-t1", "-c8", "-m8", "--rps=50", "-D6", "-H", field, *urls],
                r"status codes: (\d+) 2xx", (r" ([1-9]\d*) failed", r"2xx, 0 3xx, (\d+ 4xx, \d+ 5xx)"))
            self.measure(
                broker, ["wrk", "-t1", "-c16", "-d2s", "--timeout", "30s", "-H", field, urls[0]],
                r"(\d+) requests in", (r"(Socket errors: .*)", r"(Non-2xx or 3xx responses: .*)"))
            if self.ending.is_set():
                return

    def measure(self, broker, command, answers, faults):
        start = time.monotonic()
        result = subprocess.run(command, capture_output=True, text=True, timeout=120)
        output = result.stdout + result.stderr
        match = re.search(answers, output)
        self.answers += int(match.group(1)) if match else 0
        found = [fault for pattern in faults for fault in re.findall(pattern, output) if re.search(r"[1-9]\d*", fault)]
        found = [fault for fault in found if fault != "0 4xx, 0 5xx"]
        if found or not match:
            text = f"{command[0]}: {', '.join(found) or output[-300:]}"
            kinds = {"refused", "hot", "cold"} if broker.is_cold() else {"refused", "hot"}
            self.errors.append(Error(broker.name, kinds, text, start, time.monotonic()))


def cast(world):
    """A client for each way to prove oneself and to ask, at each broker."""
    cold = itertools.count(scene.HOT)
    hot = [scene.audience(number) for number in range(scene.HOT)]
    for broker in world.brokers.values():

        def caller(name, client, kind, audiences, pause, expected=200, key=None):
            context = ssl.create_default_context(cafile=world.authority.file)
            context.set_alpn_protocols(["h2"] if client is HTTP2 else ["http/1.1"])
            if name == "certified":
                context.load_cert_chain(*world.authority.caller)
            headers = {"Authorization": f"Bearer {world.keys[key]}"} if key else {}
            return Caller(name, broker, client(broker.port, context, headers), kind, audiences, pause, expected)

        yield caller("trusted, HTTP/1.1", HTTP1, "hot", itertools.cycle(hot), 0.05, key="trusted")
        yield caller("certified", HTTP2, "hot", itertools.cycle(hot), 0.05)
        yield caller("trusted, cold", HTTP1, "cold", map(scene.audience, cold), 0.5, key="trusted")
        yield caller("narrow", HTTP2, "hot", itertools.repeat(hot[0]), 0.5, key="narrow")
        yield caller("narrow, elsewhere", HTTP1, "hot", map(scene.audience, itertools.cycle(range(1, 99))), 1, 403, "narrow")
        yield caller("a stranger", HTTP1, "hot", itertools.cycle(hot), 1, 401)
