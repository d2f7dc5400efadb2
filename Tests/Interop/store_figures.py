"""Ten brokers on a cluster that loses a primary and has a failover, while 1,000 audiences are asked for in a minute.

Usage: store_figures.py BROKER FOLDER [redis|valkey] [--node-timeout MILLISECONDS]

BROKER is best a release build, on a machine that does nothing else. Each audience is asked for at three brokers at
once, and at the other seven at some time before the minute is over. The end status is 1 unless there are at most 1.01
mints for an audience, no errors, and no answer that took 300 ms longer than the tenant did.
"""

import argparse
import collections
import importlib
import pathlib
import random
import signal
import statistics
import sys
import tempfile
import threading
import time

from store_fleet import PASSWORD, Fleet, Load, url, user
from store_processes import HOST, Cluster
from verdicts import Verdicts

BROKERS, AUDIENCES, AT_ONCE, SECONDS = 10, 1000, 3, 60
TENANT_SECONDS = 0.1
# When which part of the minute begins, in seconds.
PARTS = {"calm": 0, "primary killed": 15, "calm again": 30, "CLUSTER FAILOVER": 40, "at last": 50}


def schedule(fleet, chance):
    """When which broker is asked for which audience."""
    requests = []
    for number, audience in enumerate(fleet.audiences):
        first = number * SECONDS / AUDIENCES
        for place, broker in enumerate(chance.sample(fleet.brokers, len(fleet.brokers))):
            requests.append((first if place < AT_ONCE else chance.uniform(first, SECONDS), broker, audience))
    return sorted(requests, key=lambda request: request[0])


def part(start):
    """Which one a time belongs to."""
    return [name for name, first in PARTS.items() if first <= start][-1]


class Pulse(threading.Thread):
    """Notices how late the machine itself is at times: nobody can answer sooner."""

    def __init__(self):
        super().__init__(daemon=True)
        self.start_time, self.late = time.monotonic(), []

    def run(self):
        while True:
            due = time.monotonic() + 0.01
            time.sleep(0.01)
            self.late.append((due - self.start_time, time.monotonic() - due))

    def worst(self, name):
        return max((late for at, late in self.late if part(at) == name), default=0)


def milliseconds(seconds):
    return f"{seconds * 1000:.0f} ms"


def report(fleet, load, pulse, verdicts):
    first, beyond = {}, collections.defaultdict(list)
    for answer in sorted(load.answers, key=lambda answer: answer.start):
        start = answer.start - load.start
        is_first = first.setdefault(answer.audience, start) > start - 0.01
        beyond[part(start), is_first].append(answer.seconds - (fleet.tenant.seconds if is_first else 0))
    for name in PARTS:
        audiences = [audience for audience, start in first.items() if part(start) == name]
        print(f"  {name}: {fleet.mints(audiences)} mints for {len(audiences)} audiences; the machine itself was up to "
              f"{milliseconds(pulse.worst(name))} late", flush=True)
        for is_first, what in ((True, "beyond the tenant's, the first answers"), (False, "in all, the later answers")):
            times = beyond[name, is_first]
            *_, p99 = statistics.quantiles(times, n=100)
            print(f"    {what}: median {milliseconds(statistics.median(times))}, 99 % {milliseconds(p99)}, "
                  f"worst {milliseconds(max(times))}", flush=True)
    errors = [answer.error for answer in load.answers if answer.error]
    ratio = fleet.mints(fleet.audiences) / len(fleet.audiences)
    worst = max(answer.seconds for answer in load.answers) - fleet.tenant.seconds
    verdicts.require("mints for an audience, at most 1.01", ratio <= 1.01, f"{ratio:.3f}")
    verdicts.require("errors", not errors, f"{len(errors)} of {len(load.answers)}", f", such as {errors[:2]}")
    verdicts.require("worst answer beyond the tenant's, at most 300 ms", worst <= 0.3, milliseconds(worst))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("broker", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("engine", nargs="?", default="redis", choices=["redis", "valkey"])
    parser.add_argument("--node-timeout", type=int, default=1000, help="of the cluster, in milliseconds")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that children are ended
    module = importlib.import_module(f"stores.{options.engine}")
    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    program = module.server(folder)
    verdicts = Verdicts()
    print(f"{module.NAME}, node timeout {options.node_timeout} ms: {BROKERS} brokers, {AUDIENCES} audiences, "
          f"{SECONDS} s, a tenant that takes {milliseconds(TENANT_SECONDS)}", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        place = pathlib.Path(temporary)
        with Cluster(program, place, timeout=options.node_timeout) as nodes:
            nodes.ask_all_nodes(*user(PASSWORD))
            store = url("redis", f"{HOST}:{nodes.replicas[0].port}")
            executable = options.broker.resolve()
            with Fleet(executable, place / "fleet", store, BROKERS, AUDIENCES, TENANT_SECONDS) as fleet:
                requests, pulse = schedule(fleet, random.Random(1)), Pulse()
                pulse.start()
                with Load(requests) as load:
                    for name, disturb in (
                        ("primary killed", nodes.kill_primary), ("CLUSTER FAILOVER", nodes.fail_over),
                    ):
                        time.sleep(max(0, load.start + PARTS[name] - time.monotonic()))
                        disturb(list(PARTS).index(name) % 3)
                        took = time.monotonic() - load.start - PARTS[name]
                        print(f"  {name} at {PARTS[name]} s; a new primary after {milliseconds(took)}", flush=True)
                    load.thread.join()
                report(fleet, load, pulse, verdicts)
    sys.exit(verdicts.failures > 0)


if __name__ == "__main__":
    main()
