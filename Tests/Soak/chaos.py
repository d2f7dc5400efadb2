"""What goes wrong in a soak: a schedule made from a seed, and what each event excuses."""

import contextlib
import dataclasses
import resource
import secrets
import signal
import socket
import threading
import time

import scene

# By name: how many seconds it lasts, what it concerns, and how many seconds that is left alone then. Two events at the same
# time never concern the same, and the tenant is well for a while after each fault, so that not everything is excused.
EVENTS = {
    "tenant killed": ((1, 40), {"tenant": 40}),
    "tenant stopped": ((1, 40), {"tenant": 40}),
    "tenant failing": ((5, 40), {"tenant": 40}),
    "tenant slow": ((5, 60), {"tenant": 5}),
    # Only the last key stays published: by then no token that was signed before it lives.
    "keys rotated": ((0, 1), {"tenant": 5, "keys": scene.LIFETIME}),
    "secret rotated": ((5, 10), {"tenant": 5}),
    "redis killed": ((1, 30), {"redis": 20}),
    "redis stopped": ((1, 30), {"redis": 20}),
    "redis slow": ((5, 30), {"redis": 5}),
    "disk full": ((5, 60), {"disk": 10}),
    "certificate renewed": ((0, 1), {"certificate": 20}),
    "configuration reloaded": ((0, 1), {"configuration": 10}),
    "configuration broken": ((1, 20), {"configuration": 10}),
    # Without descriptors it cannot read what has changed, and tries again only when that changes again.
    "descriptors exhausted": ((2, 15), {"broker a": 60, "certificate": 5, "configuration": 5}),
    "broker restarted": ((0, 1), {"broker c": 30, "redis": 0, "configuration": 0}),
    "broker killed": ((0, 1), {"broker c": 30, "redis": 0, "configuration": 0}),
}


@dataclasses.dataclass
class Event:
    at: float
    name: str
    seconds: float

    def __str__(self):
        return f"{self.at:6.0f} s  {self.name}" + (f" for {self.seconds:.0f} s" if self.seconds > 1 else "")


def schedule(random, seconds):
    """Events for so long, but for the first and the last moments."""
    events, busy, at = [], {}, 15.0
    while True:
        at += random.uniform(2, 10)
        free = [
            name
            for name, (_, things) in EVENTS.items()
            if all(busy.get(thing, 0) <= at for thing in things)
        ]
        if not free:
            continue
        name = random.choice(free)
        (least, most), things = EVENTS[name]
        event = Event(at, name, random.uniform(least, most))
        if at > seconds - 90:
            return events
        events.append(event)
        busy |= {thing: at + event.seconds + pause for thing, pause in things.items()}


@dataclasses.dataclass
class Excuse:
    """Why callers may see errors of a kind at these brokers, from one time to another."""

    why: str
    kind: str
    brokers: list
    start: float
    end: float = float("inf")

    def covers(self, error):
        in_time = self.start <= error.end and error.start <= self.end
        return self.kind in error.kinds and error.broker in self.brokers and in_time


class Chaos:
    def __init__(self, world, events, say):
        self.world, self.events, self.say = world, events, say
        # Failures are those of an event itself: what it does must be possible.
        self.excuses, self.failures = [], []
        # One event at a time writes configuration, or starts a broker with it, though it take longer than planned.
        self.configuring = threading.Lock()
        self.threads = [threading.Thread(target=self.play, args=(event,), daemon=True) for event in events]

    def start(self):
        self.started = time.monotonic()
        for thread in self.threads:
            thread.start()

    def join(self):
        for thread in self.threads:
            thread.join(180)
            if thread.is_alive():
                self.failures.append("an event does not end")

    def play(self, event):
        time.sleep(max(0, self.started + event.at - time.monotonic()))
        self.say(event)
        try:
            getattr(self, event.name.replace(" ", "_"))(event.seconds)
        except Exception as error:  # noqa: BLE001: whatever it is, it must not go unseen
            self.failures.append(f"{event}: {error!r}")

    @contextlib.contextmanager
    def excused(self, why, kind, brokers):
        excuse = Excuse(why, kind, brokers, time.monotonic())
        self.excuses.append(excuse)
        try:
            yield
        finally:
            excuse.end = time.monotonic() + 1

    @contextlib.contextmanager
    def outage(self, why, brokers=None):
        """The tenant cannot be asked. What is not held cannot be had; what is held can be had for as long as it lives. The
        broker waits ever longer before it asks again, in all about as long as the outage has lasted, and 30 s at the most."""
        brokers = brokers or list(self.world.brokers)
        start = time.monotonic()
        excuses = [Excuse(why, "cold", brokers, start), Excuse(why, "hot", brokers, start + scene.UNSEEN - 2)]
        self.excuses += excuses
        try:
            yield
        finally:
            end = time.monotonic()
            for excuse in excuses:
                excuse.end = end + 1 + min(30, 2 * (end - start))

    # The tenant

    def tenant_killed(self, seconds):
        with self.outage("the tenant was killed"):
            self.world.tenant.kill()
            time.sleep(seconds)
            self.world.tenant.start()

    def tenant_stopped(self, seconds):
        with self.outage("the tenant was stopped"), self.world.tenant.stopped():
            time.sleep(seconds)

    def tenant_failing(self, seconds):
        with self.outage("the tenant answered most with 500"):
            self.world.tenant.order("failing 0.8")
            time.sleep(seconds)
            self.world.tenant.order("failing 0")

    def tenant_slow(self, seconds):
        self.world.tenant.order("latency 1500")
        time.sleep(seconds)
        self.world.tenant.order("latency 0")

    def keys_rotated(self, _):
        self.world.tenant.order("rotate")

    def secret_rotated(self, seconds):
        secrets_ever = self.world.tenant.secrets
        secrets_ever.append(secrets.token_urlsafe(48))
        self.world.tenant.order(f"secrets {secrets_ever[-1]} {secrets_ever[-2]}")
        scene.replace(self.world.secret_file, secrets_ever[-1] + "\n")
        time.sleep(seconds)
        self.world.tenant.order(f"secrets {secrets_ever[-1]}")

    # The stores

    def redis_killed(self, seconds):
        self.world.redis.kill()
        time.sleep(seconds)
        self.world.redis.start()
        self.world.redis.away = time.monotonic()

    def redis_stopped(self, seconds):
        with self.world.redis.stopped():
            time.sleep(seconds)
        self.world.redis.away = time.monotonic()

    def redis_slow(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.world.redis.tell("debug", "sleep", "0.1")

    def disk_full(self, seconds):
        with self.world.disk.full():
            time.sleep(seconds)

    # The brokers

    def certificate_renewed(self, _):
        self.world.authority.renew()
        renewed = self.world.authority.certificate.read_text()
        for broker in self.world.brokers.values():
            scene.wait_until(
                f"broker {broker.name} shows its new certificate", 90, lambda: broker.certificate() == renewed)

    def configuration_reloaded(self, seconds):
        """One by its file alone, which is watched, the others by a signal, too."""
        for broker in self.world.brokers.values():
            with self.configuring, broker.saying("the configuration was read again"):
                # Another than it was: else nothing has changed.
                broker.refresh_interval = 25 + (broker.refresh_interval - 24 + int(seconds * 9)) % 10
                broker.write()
                if broker.name != "b":
                    broker.process.send_signal(signal.SIGHUP)

    def configuration_broken(self, seconds):
        with self.configuring:
            try:
                for broker in self.world.brokers.values():
                    with broker.saying("the configuration stays as it was"):
                        broker.write("}")
                time.sleep(seconds)
                for broker in self.world.brokers.values():
                    with broker.saying("the configuration was read again"):
                        broker.write()
            finally:
                for broker in self.world.brokers.values():
                    broker.write()

    def descriptors_exhausted(self, seconds):
        broker, crowd = self.world.brokers["a"], []
        why = "broker a had no descriptors"
        with self.excused(why, "refused", ["a"]), self.outage(why, ["a"]):
            resource.prlimit(broker.process.pid, resource.RLIMIT_NOFILE, (broker.descriptors() + 2, broker.limit[1]))
            try:
                end = time.monotonic() + seconds
                while time.monotonic() < end:
                    if len(crowd) < 100:
                        with contextlib.suppress(OSError):
                            crowd.append(socket.create_connection(("127.0.0.1", broker.port), timeout=2))
                    time.sleep(0.02)
            finally:
                resource.prlimit(broker.process.pid, resource.RLIMIT_NOFILE, broker.limit)
                for connection in crowd:
                    connection.close()

    @contextlib.contextmanager
    def gone(self, why, broker):
        """Its next life knows what is in its store. Where Redis has not yet been given back what it lost, that is cold again."""
        with self.configuring, self.excused(why, "refused", [broker.name]):
            yield
            broker.born = time.monotonic()
            broker.lacks_tokens = broker.born < self.world.redis.away + scene.MENDING
            broker.start()

    def broker_restarted(self, _):
        broker = self.world.brokers["c"]
        with self.gone("broker c was restarted", broker):
            status = broker.end()
            if status != 0:
                self.failures.append(f"broker c ended with {status}")

    def broker_killed(self, _):
        broker = self.world.brokers["c"]
        with self.gone("broker c was killed", broker):
            broker.kill()

    # What came of it

    def explanation(self, error):
        """Why a caller saw that; nothing if there is no reason for it, as there never is for what is wrong."""
        return next((excuse.why for excuse in self.excuses if excuse.covers(error)), None)
