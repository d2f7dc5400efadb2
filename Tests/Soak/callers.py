"""Who asks in a soak: clients that check every answer, and others that are many."""

import base64
import dataclasses
import http.client
import itertools
import json
import re
import ssl
import subprocess
import threading
import time
from urllib.parse import quote, urlencode

import httpx

import scene

# How long a token that is held may take, in seconds, on a machine that is busy with much else.
PROMPT = 2


@dataclasses.dataclass
class Error:
    """What a caller did not like. Its kinds: `hot`, a token that was held was not given, or not soon; `cold`, another one
    was not given; `refused`, a connection was not made, or ended, or there was no room; `wrong`, which nothing excuses."""

    broker: str
    kinds: set
    text: str
    start: float
    end: float


class Ended(Exception):
    """The connection, which was good before, was ended instead of an answer: most clients ask again."""


class HTTP1:
    """A connection that is kept."""

    def __init__(self, port, context, headers):
        self.open = lambda: http.client.HTTPSConnection("127.0.0.1", port, timeout=45, context=context)
        self.headers, self.connection = headers, None

    def ask(self, method, path, body, headers):
        is_used, self.connection = self.connection is not None, self.connection or self.open()
        try:
            self.connection.request(method, path, body, {**self.headers, **headers})
            answer = self.connection.getresponse()
            content = answer.read()
        except BaseException as error:
            self.connection.close()
            self.connection = None
            if is_used and isinstance(error, (http.client.RemoteDisconnected, ConnectionError, ssl.SSLEOFError)):
                raise Ended(repr(error)) from error
            raise
        if answer.will_close:
            self.connection.close()
            self.connection = None
        return answer.status, answer.headers, content


class HTTP2:
    """The same by HTTP/2."""

    def __init__(self, port, context, headers):
        self.open = lambda: httpx.Client(
            http1=False, http2=True, verify=context, headers=headers, timeout=45, trust_env=False)
        self.url, self.client, self.is_used = f"https://127.0.0.1:{port}", self.open(), False

    def ask(self, method, path, body, headers):
        try:
            answer = self.client.request(method, self.url + path, content=body, headers=headers)
        except httpx.TransportError as error:
            # httpx holds on to connections that are no more.
            self.client.close()
            is_used, self.is_used, self.client = self.is_used, False, self.open()
            if isinstance(error, httpx.TimeoutException):
                raise TimeoutError(repr(error)) from error
            raise (Ended if is_used else ConnectionError)(repr(error)) from error
        self.is_used = True
        return answer.status_code, answer.headers, answer.content


def token_request(audience, _):
    return "GET", "/token/" + quote(audience, safe=""), None, {}


def forwarded_request(audience, _):
    return "GET", "/forward-auth/" + quote(audience, safe=""), None, {}


def oauth_request(audience, keys):
    form = {
        "grant_type": "client_credentials", "audience": audience, "client_id": "trusted", "client_secret": keys["trusted"],
    }
    return "POST", "/oauth/token", urlencode(form), {"Content-Type": "application/x-www-form-urlencoded"}


class Caller(threading.Thread):
    """Asks one broker for one audience after the other, each time so many seconds after the last answer."""

    def __init__(self, name, broker, client, kind, audiences, pause, request=token_request, expected=200):
        super().__init__(daemon=True)
        self.caller, self.broker, self.client, self.kind, self.pause = name, broker, client, kind, pause
        self.audiences, self.request, self.expected, self.ending = audiences, request, expected, threading.Event()
        self.answers, self.errors, self.slowest, self.gap, self.last, self.tokens = 0, [], 0, (0, 0), None, {}

    def run(self):
        for audience in self.audiences:
            if self.ending.wait(self.pause):
                return
            self.take_turn(audience)

    def take_turn(self, audience):
        for _ in range(2):
            start = time.monotonic()
            try:
                kinds, text = self.judge(audience, *self.ask(audience), time.monotonic() - start)
            except Ended as error:
                self.note({"refused"}, f"{audience}: {error}", start)
                continue
            except TimeoutError as error:
                kinds, text = {"wrong"}, repr(error)
            except (OSError, http.client.HTTPException) as error:
                kinds, text = {"refused"}, repr(error)
            except Exception as error:  # noqa: BLE001: an answer that makes no sense
                kinds, text = {"wrong"}, repr(error)
            if text:
                return self.note(kinds, f"{audience}: {text}", start)
            return self.count(time.monotonic(), time.monotonic() - start)

    def ask(self, audience):
        return self.client.ask(*self.request(audience, self.broker.world.keys))

    def note(self, kinds, text, start):
        self.errors.append(Error(self.broker.name, kinds, f"{self.caller}: {text}", start, time.monotonic()))

    def count(self, now, took):
        self.answers += 1
        self.slowest = max(self.slowest, took)
        if self.last:
            self.gap = max(self.gap, (now - self.last, now))
        self.last = now

    def judge(self, audience, status, headers, content, took):
        """What is wrong with an answer, and the kinds of error that is; no text if nothing is."""
        # In its next life a broker may lack what its store has missed.
        usual = {"hot", "cold"} if self.broker.is_cold() else {self.kind}
        if status != self.expected:
            text = f"{status} {content[:300].decode(errors='replace')}"
            if status not in (503, 504) or self.expected != 200:
                return {"wrong"}, text
            return ({"refused"} if '"overloaded"' in text or '"draining"' in text else usual), text
        if status == 200:
            objection = self.objection(audience, headers, content)
            if objection:
                return {"wrong"}, objection
        if self.kind == "hot" and took > PROMPT:
            return usual, f"{status} after {took:.1f} s"
        return usual, None

    def objection(self, audience, headers, content):
        now = time.time()
        answer = json.loads(content) if content else {"access_token": headers["Authorization"].removeprefix("Bearer ")}
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
        if content and not scene.RESERVED - 1 <= answer["expires_in"] <= left + 1:
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
            paths = [token_request(scene.audience(number), None)[1] for number in range(scene.HOT)]
            urls = [f"https://127.0.0.1:{broker.port}{path}" for path in paths]
            self.measure(broker, ["h2load", "-t1", "-c8", "-m8", "--rps=50", "-D6", "-H", field, *urls], self.read_h2load)
            self.measure(broker, ["wrk", "-t1", "-c16", "-d2s", "--timeout", "30s", "-H", field, urls[0]], self.read_wrk)
            if self.ending.is_set():
                return

    def measure(self, broker, command, read):
        start = time.monotonic()
        kinds = {"refused", "hot", "cold"} if broker.is_cold() else {"refused", "hot"}
        try:
            result = subprocess.run(command, capture_output=True, text=True, timeout=120)
            answers, faults, is_wrong = read(result.stdout + result.stderr)
            if not answers:
                faults = faults or result.stdout[-200:] + result.stderr[-200:]
        except Exception as error:  # noqa: BLE001: whatever it is, it must not go unseen
            answers, faults, is_wrong = 0, repr(error), True
        self.answers += answers
        if faults:
            text = f"{command[0]}: {faults}"
            self.errors.append(Error(broker.name, {"wrong"} if is_wrong else kinds, text, start, time.monotonic()))

    @staticmethod
    def read_h2load(output):
        """Good answers; what was not good; whether that is beyond excuses."""
        codes = re.search(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", output)
        failed = re.search(r"(\d+) failed, (\d+) errored, (\d+) timeout", output)
        if not codes or not failed:
            return 0, "", False
        good, *others = map(int, codes.groups())
        is_bad = any(others) or any(map(int, failed.groups()))
        return good, f"{codes.group(0)}, {failed.group(0)}" if is_bad else "", bool(others[0] or others[1])

    @staticmethod
    def read_wrk(output):
        total = re.search(r"(\d+) requests in", output)
        bad = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
        faults = [match.group(0) for match in (bad, re.search(r"Socket errors: .*", output)) if match]
        return (int(total.group(1)) - (int(bad.group(1)) if bad else 0) if total else 0), ", ".join(faults), False


def cast(world):
    """A client for each way to prove oneself and to ask, at each broker."""
    cold = map(scene.audience, itertools.count(scene.HOT))
    hot = [scene.audience(number) for number in range(scene.HOT)]

    def caller(broker, name, client, kind, audiences, pause, key=None, is_certified=False, **more):
        context = ssl.create_default_context(cafile=world.authority.file)
        context.set_alpn_protocols(["h2"] if client is HTTP2 else ["http/1.1"])
        if is_certified:
            context.load_cert_chain(*world.authority.caller)
        headers = {"Authorization": f"Bearer {world.keys[key]}"} if key else {}
        return Caller(name, broker, client(broker.port, context, headers), kind, audiences, pause, **more)

    for broker in world.brokers.values():
        yield caller(broker, "trusted, HTTP/1.1", HTTP1, "hot", itertools.cycle(hot), 0.05, "trusted")
        yield caller(broker, "certified, HTTP/2", HTTP2, "hot", itertools.cycle(hot), 0.05, is_certified=True)
        yield caller(broker, "a proxy", HTTP1, "hot", itertools.cycle(hot), 0.5, "trusted", request=forwarded_request)
        yield caller(broker, "an OAuth library", HTTP2, "hot", itertools.cycle(hot), 0.5, request=oauth_request)
        yield caller(broker, "narrow", HTTP2, "hot", itertools.repeat(hot[0]), 0.5, "narrow")
        yield caller(broker, "narrow, elsewhere", HTTP1, "hot", itertools.cycle(hot[1:]), 1, "narrow", expected=403)
        yield caller(broker, "a stranger", HTTP1, "hot", itertools.cycle(hot), 1, expected=401)
        yield caller(broker, "trusted, cold", HTTP1, "cold", cold, 0.5, "trusted")
