"""Lets brokers live for a while among callers, with everything going wrong around them, and says what callers noticed.

Usage: soak.py BROKER TENANT [--minutes N] [--seed N]

Three brokers by TLS, HTTP/1.1 and HTTP/2, with callers that prove who they are; two share by redis-server, one has a file.
Clients check every answer, while h2load and wrk put load on. What goes wrong, and when, follows from the seed. The end
status is 1 if anything is left unexplained. All on loopback, as root.
"""

import argparse
import collections
import math
import os
import pathlib
import random
import re
import signal
import statistics
import sys
import tempfile
import threading
import time

import callers
import chaos
import scene

# What a broker may be larger by at the end than it was a fifth into the run: memory in MB, and descriptors.
GROWTH = 8, 24
# Mints to the least possible. While Redis is away each broker mints for itself; answers of the tenant are lost on the way.
HELD_MINTS, OTHER_MINTS = 1.5, 1.1


class Gauge(threading.Thread):
    """Memory (MB) and descriptors of each broker, every few seconds, by its name and process."""

    def __init__(self, brokers):
        super().__init__(daemon=True)
        self.brokers, self.ending, self.samples = brokers, threading.Event(), collections.defaultdict(list)

    def run(self):
        while not self.ending.wait(3):
            for name, broker in self.brokers.items():
                try:
                    sample = time.monotonic(), broker.kib() * 1024 / 1e6, broker.descriptors()
                except (OSError, AttributeError):
                    continue  # between two lives
                self.samples[name, broker.process.pid].append(sample)

    def growth(self):
        """Of those that lived nearly all the time: medians a fifth into it, and of its last fifth."""
        ends = [sample[0] for samples in self.samples.values() for sample in samples]
        start, fifth = min(ends), (max(ends) - min(ends)) / 5
        for (name, _), samples in sorted(self.samples.items()):
            early = [sample for sample in samples if start + fifth <= sample[0] <= start + 2 * fifth]
            late = [sample for sample in samples if sample[0] >= start + 4 * fifth]
            if early and late:
                yield name, *([statistics.median(sample[i] for sample in part) for part in (early, late)] for i in (1, 2))


class Report:
    """Prints figures, and remembers what was not as it should be."""

    def __init__(self):
        self.faults = []

    def say(self, line):
        print(line, flush=True)

    def judge(self, line, is_well):
        self.say(f"  {line}" + ("" if is_well else "   <-- NOT AS IT SHOULD BE"))
        if not is_well:
            self.faults.append(line)


def count_mints(cast, seconds, minted, report):
    """The least: each token of which callers ask all the time, once for each of the two stores, and again when 72 seconds of
    its life are left; any other once, if it was given to anybody."""
    hot = {scene.audience(number) for number in range(scene.HOT)}
    held = sum(count for audience, count in minted.items() if audience in hot)
    others = sum(minted.values()) - held
    least = 2 * scene.HOT * math.ceil(seconds / (scene.LIFETIME - 72))
    given = sum(caller.answers for caller in cast if caller.kind == "cold")
    report.say("\nMints, and how many times the least possible that is")
    report.judge(f"of tokens that were held: {held}, {held / least:.2f}", held <= HELD_MINTS * least)
    report.judge(f"of others: {others}, {others / given:.2f}", others <= OTHER_MINTS * given)


def next_life(world, cast, report):
    """Is all there in the next life, though the tenant is away?"""
    report.say("\nThe tenant is killed, and all brokers, which are started again")
    world.tenant.kill()
    for broker in world.brokers.values():
        broker.kill()
        broker.start()
    for broker in world.brokers.values():
        # Its connection is gone.
        client = next(caller.client for caller in cast if caller.broker is broker)
        client.connection = None
        statuses = collections.Counter(
            client.ask(*callers.token_request(scene.audience(number), None))[0] for number in range(scene.HOT))
        report.judge(f"{broker.name}: {statuses[200]} of {scene.HOT} held tokens are there", statuses[200] == scene.HOT)


def leaks(world):
    """What no log may hold."""
    secrets = [*world.tenant.secrets, *world.keys.values(), world.store_key.read_text()]
    for broker in world.brokers.values():
        text = broker.log.read_text()
        if re.search(r"eyJ[\w-]{10}", text) or any(secret in text for secret in secrets):
            yield broker.name


def summarize(options, world, report, cast, load, gauge, turmoil):
    report.say(f"\nAnswers that were checked: {sum(caller.answers for caller in cast)}; of h2load and wrk: {load.answers}")
    for caller in cast:
        gap, at = caller.gap
        report.judge(
            f"{caller.broker.name}: {caller.caller:<18} {caller.answers:>6}, slowest {caller.slowest:.2f} s, longest gap "
            f"{gap:.2f} s at {at - turmoil.started:.0f} s", caller.answers > 0)
    explain([error for part in [*cast, load] for error in part.errors], turmoil, report)
    for failure in turmoil.failures:
        report.judge(failure, False)
    count_mints(cast, options.minutes * 60, world.tenant.minted(), report)
    report.say("\nGrowth, from the second fifth of the run to the last")
    for name, *figures in gauge.growth():
        for (early, late), most, unit in zip(figures, GROWTH, ("MB", "descriptors")):
            report.judge(f"{name}: {early:.3g} to {late:.3g} {unit}", late - early <= most)


def explain(errors, turmoil, report):
    explained, unexplained = collections.Counter(), []
    for error in errors:
        why = turmoil.explanation(error)
        if why:
            explained[why, "/".join(sorted(error.kinds))] += 1
        else:
            unexplained.append(error)
    report.say(f"\nErrors that callers saw: {len(errors)}")
    for (why, kind), count in explained.most_common():
        report.say(f"  {count:>6}  {kind:<12} {why}")
    report.judge(f"{len(unexplained):>6}  unexplained", not unexplained)
    for error in unexplained[:20]:
        report.say(f"          {error.start - turmoil.started:.1f} s: {error.broker}: {error.text}")


def play(options, world, report):
    """Lets all of it happen; returns who took part."""
    events = chaos.schedule(random.Random(options.seed), options.minutes * 60)
    turmoil = chaos.Chaos(world, events, report.say)
    cast, load, gauge = list(callers.cast(world)), callers.Load(world), Gauge(world.brokers)
    threads = [*cast, load, gauge]
    for thread in [*threads, turmoil]:
        thread.start()
    time.sleep(options.minutes * 60)
    turmoil.join()
    is_complete = all(thread.is_alive() for thread in threads)
    for thread in threads:
        thread.ending.set()
    for thread in threads:
        thread.join(150)
    if not is_complete or any(thread.is_alive() for thread in threads):
        raise RuntimeError("a thread ended early, or does not end")
    return cast, load, gauge, turmoil


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("broker")
    parser.add_argument("tenant")
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seed", type=int, default=random.randrange(10_000))
    options, report = parser.parse_args(), Report()
    if os.geteuid() != 0:
        parser.error("only root may look into brokers' processes, change their limits, and mount a disk to fill")
    if options.minutes < 3:
        parser.error("less than 3 minutes leave no time for anything to go wrong")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory() as name, scene.Disk(pathlib.Path(name)) as disk:
        try:
            report.say(f"{options.minutes:g} minutes of seed {options.seed}")
            world = scene.World(options.broker, options.tenant, pathlib.Path(name), disk)
            cast, load, gauge, turmoil = play(options, world, report)
            summarize(options, world, report, cast, load, gauge, turmoil)
            next_life(world, cast, report)
            report.judge("no log has a secret or a token", not list(leaks(world)))
        finally:
            scene.Process.end_all()
    report.say("\nNothing is left unexplained." if not report.faults else f"\n{len(report.faults)} not as they should be.")
    sys.exit(1 if report.faults else 0)


main()
