"""Puts the broker into cages, each of which lacks something: it must serve, or say in one line what it needs.

Usage: cages.py BROKER TENANT [CAGE]...

As root, on loopback. What this machine cannot make is skipped, with the reason. The end status is 1 if anything is not as
it should be, or if nothing was tried.
"""

import argparse
import contextlib
import os
import pathlib
import re
import shutil
import signal
import sys
import tempfile
import time

import clocks
import groups
import views
from stage import Broker, Cage, PATIENCE, Skipped, Tenant, audience, refuses, serves
from processes import free_port
from verdicts import Verdicts

# A user whom no machine has.
NOBODY = 61032


class Scene:
    def __init__(self, executable, tenant_executable, place):
        self.place, self.tenant_executable, self.verdicts = place, tenant_executable, Verdicts()
        # A copy that everybody can read, and that the page cache does not have: a cage pays for what it reads.
        self.executable = pathlib.Path(shutil.copy(executable, place / "token-broker"))
        self.executable.chmod(0o755)

    def broker(self, cage, **settings):
        return Broker(self.executable, self.place, self.tenant, cage, **settings)

    def serve(self, cage, tokens=50, **settings):
        with self.broker(cage, **settings) as broker:
            serves(broker, self.verdicts, tokens)

    def refuse(self, cage, *words, **settings):
        return refuses(self.broker(cage, **settings), self.verdicts, *words)


def memory(scene):
    """64 MiB, with 10,000 tokens and 1,000 connections."""
    with contextlib.ExitStack() as stack:
        cage = stack.enter_context(groups.memory(64))
        with scene.executable.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        broker = stack.enter_context(scene.broker(cage, upstream={"mintsPerMinute": 60_000}))
        scene.verdicts.expect("of 10,000 tokens, not as they should be", [], broker.tokens(range(10_000))[:3])
        connections = [broker.connect() for _ in range(1000)]
        for number, connection in enumerate(connections):
            stack.callback(connection.close)
            status, _ = broker.token(audience(number), connection)
            if status != 200:
                scene.verdicts.expect("a connection of 1,000", 200, status)
                break
        scene.verdicts.expect("connections", 1001, broker.metric("token_broker_http_connections"))
        scene.verdicts.expect("all tokens again", [], broker.tokens(range(10_000))[:3])
        scene.verdicts.expect("tokens, as the report has it", 10_000, broker.status().get("audience_count"))
        peak = cage.number("memory.peak", "memory.max_usage_in_bytes") / 1e6
        resident = broker.metric("process_resident_memory_bytes") / 1e6
        events = cage.table("memory.events" if cage.version == 2 else "memory.oom_control")
        scene.verdicts.expect(f"killed for want of memory, at a peak of {peak:.0f} MB, {resident:.0f} MB resident",
                              0, events["oom_kill"])
        broker.process.terminate()
        scene.verdicts.expect("end status", 0, broker.process.wait(PATIENCE))


def processor(scene):
    """A tenth of a core."""
    try:
        with groups.processor(0.1) as cage, scene.broker(cage) as broker:
            scene.verdicts.expect("workers", 1, broker.workers)
            serves(broker, scene.verdicts, 20)
    except Skipped as reason:
        print(f"  no quota ({reason}): halted for nine tenths of the time instead")
        with scene.broker(Cage()) as broker:
            halting = groups.Halting(broker.process, 0.1)
            halting.start()
            serves(broker, scene.verdicts, 20)
            halting.ending.set()
            halting.join()


def affinity(scene):
    """One core of several."""
    if len(os.sched_getaffinity(0)) < 2:
        raise Skipped("there is but one")

    class One(Cage):
        def command(self, words, place):
            return ["taskset", "--cpu-list", str(min(os.sched_getaffinity(0))), *words]

    with scene.broker(One()) as broker:
        scene.verdicts.expect("workers", 1, broker.workers)
        serves(broker, scene.verdicts)


def descriptors(scene):
    """64 descriptors, and more connections than those."""
    with views.Limited("--nofile=64:64") as cage, scene.broker(cage) as broker, contextlib.ExitStack() as stack:
        connections = []
        for _ in range(100):
            connections.append(broker.connect())
            stack.callback(connections[-1].close)
            connections[-1].connect()
        answers = [answer(connection) for connection in connections]
        scene.verdicts.require("of 100 connections, answered with a token and told that there is no room",
                               answers.count(200) >= 8 and answers.count(200) + answers.count(503) == 100,
                               {status: answers.count(status) for status in set(answers)})
        stack.close()
        broker.wait("end of those", lambda: broker.metric("token_broker_http_connections") == 1, PATIENCE)
        serves(broker, scene.verdicts)
    with views.Limited("--nofile=32:32") as cage:
        said = scene.refuse(cage, "the limit on open files is 32", "needs")
    least = re.search(r"needs (\d+)", said)[1]
    with views.Limited(f"--nofile={least}:{least}") as cage:
        scene.serve(cage)
    with views.Limited("--nofile=64:64") as cage:
        scene.refuse(cage, "the limit on open files is 64", "needs", "16 workers", workers=16)


def answer(connection):
    """The status of an answer; none where the connection was closed instead."""
    try:
        connection.request("GET", "/token/" + "https%3A%2F%2F1.example.com%2F")
        return connection.getresponse().status
    except OSError:
        return None


def user_threads(scene):
    """32 threads of a user, who may not lock memory."""
    with views.Limited("--nproc=32:32", "--memlock=0:0", user=NOBODY) as cage:
        scene.serve(cage)
    with views.Limited("--nproc=6:6", user=NOBODY) as cage:
        scene.refuse(cage, "threads", "needs")
    with views.Limited("--nproc=32:32", user=NOBODY) as cage:
        scene.refuse(cage, "threads", "needs", "64 workers", workers=64)


def group_threads(scene):
    """32 threads of a control group."""
    with groups.threads(32) as cage:
        scene.serve(cage)
    with groups.threads(6) as cage:
        scene.refuse(cage, "threads", "needs")


def read_only(scene):
    """A read-only root without /tmp."""
    with views.Root(scene.place, "proc dev") as cage:
        scene.serve(cage)
        with scene.broker(cage, store={"url": "file:/cage/tokens"}) as broker:
            reason = broker.said("the store cannot be used")["reason"]
            scene.verdicts.require("a store that cannot be written: says so", "Read-only file system" in reason, reason)
            scene.verdicts.expect("and serves without it", [], broker.tokens(range(50))[:3])


def no_dev(scene):
    """That, and neither /dev nor /sys."""
    with views.Root(scene.place, "proc") as cage:
        scene.serve(cage)


def no_proc(scene):
    """That, and no /proc."""
    with views.Root(scene.place, "dev") as cage:
        scene.refuse(cage, "needs /proc")


def system_calls(scene):
    """The system calls that container engines allow."""
    with views.SystemCalls() as cage:
        scene.serve(cage)


def unmapped_user(scene):
    """A user namespace that maps no user."""
    with views.Users() as cage:
        scene.serve(cage)


def unmapped_files(scene):
    """A user namespace in which the files belong to nobody."""
    with views.Users("--map-user=1000", "--map-group=1000") as cage:
        for name in ("secret", "broker.yaml"):
            file = scene.place / name
            file.touch()
            os.chown(file, NOBODY, NOBODY)
            file.chmod(0o644)
        scene.serve(cage)


def clock_steps(scene):
    """The time of day is set by a day, and by 400; is wrong at the start; has dated what is kept; a machine suspended."""
    tenants = clocks.Clock(scene.place, "tenant")
    with clocks.lasting_tenant(scene.tenant_executable, scene.place, tenants) as tenant:
        def play(name, **settings):
            return clocks.Play(scene.executable, scene.place, tenant, tenants, scene.verdicts, name, **settings)

        for days in (1, -1, 400, -400):
            clocks.stepped(play("stepped"), days)
        for seconds in (clocks.DAY - time.time(), 3652 * clocks.DAY):
            clocks.wrong_at_start(play("early"), seconds)
        for days in (1, -1):
            store = {"url": f"file:{scene.place}/clock{days}.tokens"}
            clocks.kept_through_wrong_clock(play("kept", store=store), days)
        clocks.suspended(play("suspended"), 7200)


def certificates(scene):
    """The time of day is set to when the tenant's certificate is not valid."""
    tenants, state = clocks.Clock(scene.place, "tenant"), (free_port(), scene.place / "short.json")
    with Tenant(scene.tenant_executable, scene.place, tenants.environment, state) as tenant:
        for days in (400, -400):
            play = clocks.Play(scene.executable, scene.place, tenant, tenants, scene.verdicts, "certificate")
            clocks.certificate_of_its_day(play, days)


def boot_time(scene):
    """A machine that has started at another time: two hours earlier, and just now."""
    uptime = float(pathlib.Path("/proc/uptime").read_text().split()[0])
    for seconds in (7200, 10 - int(uptime)):
        clocks.other_start(scene.executable, scene.place, scene.tenant, scene.verdicts, seconds)


CAGES = [memory, processor, affinity, descriptors, user_threads, group_threads, read_only, no_dev, no_proc, system_calls,
         unmapped_user, unmapped_files, clock_steps, certificates, boot_time]


def play(cage, scene):
    """Its line in the table: how it went, and how long it took."""
    print(f"\n{cage.__name__}: {cage.__doc__}", flush=True)
    start, failures = time.monotonic(), scene.verdicts.failures
    try:
        with Tenant(scene.tenant_executable, scene.place) as scene.tenant:
            cage(scene)
        result = "ok" if scene.verdicts.failures == failures else "FAILED"
    except Skipped as reason:
        result = f"SKIPPED: {reason}"
    except Exception as error:  # noqa: BLE001: the other cages are to be tried, too
        scene.verdicts.expect("end", "as expected", repr(error)[:1500])
        result = "FAILED"
    return f"{cage.__name__:<16} {time.monotonic() - start:5.0f} s  {result}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("broker")
    parser.add_argument("tenant")
    parser.add_argument("cage", nargs="*", choices=[[], *[cage.__name__ for cage in CAGES]])
    options = parser.parse_args()
    if os.geteuid() != 0:
        parser.error("only root may make cages")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="cages-") as name:
        place = pathlib.Path(name)
        place.chmod(0o755)
        scene = Scene(options.broker, options.tenant, place)
        table = [play(cage, scene) for cage in CAGES if not options.cage or cage.__name__ in options.cage]
    print("", *table, f"{scene.verdicts.conditions} conditions, {scene.verdicts.failures} not as they should be", sep="\n")
    sys.exit(1 if scene.verdicts.failures or not scene.verdicts.conditions else 0)


main()
