"""Clocks that are wrong, set, or go on while the machine is suspended: of the broker, and apart from it of the tenant."""

import json
import mmap
import os
import pathlib
import shutil
import struct
import subprocess
import time

from stage import Broker, Cage, PATIENCE, Skipped, Tenant, audience, claims, eventually
from views import BootTime

HERE = pathlib.Path(__file__).resolve().parent
DAY, SECOND = 86400, 1_000_000_000


class Clock(Cage):
    """A clock of one's own (clock.c), which can be set at any time."""

    def __init__(self, place, name):
        self.file, self.library = place / f"{name}.clock", place / "clock.so"
        compiler = shutil.which("cc") or shutil.which("clang")
        if not compiler:
            raise Skipped("no C compiler makes clock.c")
        if not self.library.exists():
            command = [compiler, "-O2", "-shared", "-fPIC", "-o", self.library, HERE / "clock.c", "-ldl"]
            subprocess.run(command, check=True, timeout=120)
        self.file.write_bytes(bytes(mmap.PAGESIZE))
        self.environment = {"LD_PRELOAD": str(self.library), "CAGE_CLOCK": str(self.file)}
        self.wall = self.boot = 0

    def set(self, wall=0, boot=0):
        """Seconds ahead of this machine: of the time of day, and of the time since it started."""
        self.wall, self.boot = wall, boot
        with self.file.open("r+b") as file:
            file.write(struct.pack("=qq", int(wall * SECOND), int(boot * SECOND)))

    def now(self):
        return time.time() + self.wall


def lasting_certificate(place):
    """A certificate, from 1970 on and for a hundred years, so that no clock of these plays makes it bad; and its key."""
    clock = Clock(place, "authority")
    clock.set(wall=DAY - time.time())
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "36500",
               "-subj", "/CN=tenant", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "lasting.key", "-out", "lasting.crt"]
    subprocess.run(command, cwd=place, env={**os.environ, **clock.environment}, check=True, capture_output=True, timeout=60)
    return (place / "lasting.crt").read_text(), (place / "lasting.key").read_text()


def lasting_tenant(executable, place, clock):
    """A tenant with such a certificate: it is told that it had it in an earlier life."""
    state = place / "tenant.json"
    with Tenant(executable, place, clock.environment, ("0", state)):
        pass
    earlier = json.loads(state.read_text())
    earlier["identity"]["certificatePEM"], earlier["identity"]["keyPEM"] = lasting_certificate(place)
    state.write_text(json.dumps(earlier))
    return Tenant(executable, place, clock.environment, ("0", state))


class Play:
    """A broker with a clock of its own before a tenant with another."""

    def __init__(self, executable, place, tenant, clock, verdicts, name, **settings):
        self.executable, self.place, self.tenant, self.tenants, self.verdicts = executable, place, tenant, clock, verdicts
        self.clock, self.name, self.settings, self.seen = Clock(place, name), name, settings, {}

    def broker(self):
        return Broker(self.executable, self.place, self.tenant, self.clock, self.name, **self.settings)

    def judge(self, when, broker, numbers):
        """Every answer is a token that lives by the tenant's clock, for as long as the answer says."""
        wrong = []
        for number in numbers:
            status, body = broker.token(audience(number))
            token = body.get("access_token")
            left = claims(token)["exp"] - self.tenants.now() if token else 0
            if status != 200 or left < 30:
                wrong.append(f"{status} {json.dumps(body)[:250]}" if status != 200 else f"a token that lives for {left:.0f} s")
            elif not 0 < body["expires_in"] <= left + 2:
                wrong.append(f"expires_in {body['expires_in']} of a token that lives for {left:.0f} s")
            self.seen[number] = token
        self.verdicts.expect(f"{when}: what callers did not like", [], sorted(set(wrong))[:2])

    def refuse(self, when, broker, number):
        """No new token passes for one that can be used, and whoever looks is told that it is for the clock."""
        status, body = broker.token(audience(number))
        self.verdicts.expect(f"{when}: what is not held", (502, "token_validation_failed"), (status, body.get("error")))
        line = broker.wait("line in the log", lambda: broker.said("no token"), PATIENCE)
        told = {"answer": body, "log": line, "report": broker.status()["problems"]}
        silent = [place for place, said in told.items() if "this machine's clock" not in json.dumps(said)]
        self.verdicts.expect(f"{when}: does not name the clock", [], silent)

    def minted(self, when, broker, expected):
        self.verdicts.expect(f"{when}: tokens minted", expected, broker.metric("token_broker_tokens_minted_total"))


def stepped(play, days):
    play.clock.set()
    with play.broker() as broker:
        play.judge("with the right clock", broker, range(10))
        play.clock.set(wall=days * DAY)
        play.judge(f"by {days:+} days, what is held", broker, range(10))
        play.refuse(f"by {days:+} days", broker, 10)
        play.clock.set()
        play.judge("right again", broker, range(20))
        play.minted("in all", broker, 20)
        play.verdicts.expect("condition, as the report has it", "ok", broker.status()["condition"])


def wrong_at_start(play, seconds):
    play.clock.set(wall=seconds)
    with play.broker() as broker:
        play.refuse("at the start", broker, 0)
        play.clock.set()
        play.judge("right later", broker, range(10))
        play.minted("in all", broker, 10)
        play.verdicts.expect("condition, as the report has it", "ok", broker.status()["condition"])


def kept_through_wrong_clock(play, days):
    """A life of a broker whose clock is wrong does not spoil what the one before has kept for the one after."""
    play.clock.set()
    with play.broker() as broker:
        play.judge("with the right clock", broker, range(10))
    play.clock.set(wall=days * DAY)
    with play.broker() as broker:
        play.refuse(f"by {days:+} days, in the next life", broker, 0)
    play.clock.set()
    with play.broker() as broker:
        play.judge("right again, in the last", broker, range(10))
        play.minted("in the last", broker, 0)


def certificate_of_its_day(play, days):
    """What cannot be helped: the tenant's certificate is none on that day. What is held is given all the same."""
    play.clock.set()
    with play.broker() as broker:
        play.judge("with the right clock", broker, range(10))
        play.clock.set(wall=days * DAY)
        play.tenant.end()
        play.tenant.start()  # at its port, so that the broker must connect anew
        play.judge(f"by {days:+} days, what is held", broker, range(10))
        status, body = broker.token(audience(10))
        play.verdicts.expect("what is not held", (503, "upstream_unavailable"), (status, body.get("error")))
        problems = broker.status()["problems"]
        play.verdicts.require("the report says why", "certificate" in json.dumps(problems), json.dumps(problems)[:300])
        play.clock.set()
        eventually("token when the clock is right", lambda: broker.token(audience(10))[0] == 200)
        play.judge("right again", broker, range(20))


def suspended(play, seconds):
    """The machine was suspended for longer than a token lives."""
    play.tenants.set()
    play.clock.set()
    play.tenant.order("lifetime 3600")
    try:
        with play.broker() as broker:
            play.judge("before", broker, range(10))
            before = dict(play.seen)
            play.tenants.set(wall=seconds)
            play.clock.set(wall=seconds, boot=seconds)
            play.judge(f"{seconds} s later", broker, range(10))
            play.verdicts.expect("tokens of before that were handed out", 0,
                                 sum(play.seen[number] == before[number] for number in range(10)))
            play.minted("in all", broker, 20)
    finally:
        play.tenants.set()
        play.tenant.order("lifetime 86400")


def other_start(executable, place, tenant, verdicts, seconds):
    """The next life of a broker, on a machine that has started at another time, finds what the last has kept."""
    with BootTime(seconds) as cage:
        store = {"url": f"file:{place}/boot.tokens"}
        with Broker(executable, place, tenant, Cage(), "boot", store=store) as broker:
            verdicts.expect("tokens that are not as they should be", [], broker.tokens(range(10))[:3])
        with Broker(executable, place, tenant, cage, "boot", store=store) as broker:
            verdicts.expect(f"in a machine that started {seconds:.0f} s earlier", [], broker.tokens(range(10))[:3])
            verdicts.expect("tokens minted there", 0, broker.metric("token_broker_tokens_minted_total"))
            verdicts.expect("others", [], broker.tokens(range(10, 20))[:3])
