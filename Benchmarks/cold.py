"""A thousand audiences that nobody has asked for, all at once, of a slow tenant."""

import json
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import load
from figures import BASE, OWN, Failed, Figures, alternating, at_most
from peers import Peer, token_paths
from scene import Scene, Start

AUDIENCES, LATENCY_MILLISECONDS = 1000, 50


def measure(scene: Scene) -> None:
    """With the settings that a broker has when nothing is said, its allowance included."""
    starts = scene.ours(settings={"BROKER_MINTS_PER_MINUTE": "3000"}, admin=True)
    rounds = alternating(scene.rounds, starts, lambda start: run(scene, start))
    highest = {name: [highest_in_flight(start)] for name, start in starts.items()}
    report = scene.report
    report.heading(
        f"{AUDIENCES:,} cold audiences at once, a connection each, from a tenant that takes {LATENCY_MILLISECONDS} ms "
        f"over each, medians of {scene.rounds} rounds")
    report.table(rounds)
    report.table(highest)
    report.ratio(rounds, "seconds", BASE, at_most(0.5))
    for figure, most in (("connections", 4), ("refusals", 0)):
        report.value(f"{figure}, the most of a round", max(row[figure] for row in rounds[OWN]), "", at_most(most))


def run(scene: Scene, start: Start) -> Figures:
    """Seconds until the last answer, and what the tenant saw: one of its connections asks for what it has counted."""
    before = scene.tenant.statistics()
    with start() as server:
        spent = server.cpu()
        seconds = ask_at_once(server)
        spent = server.cpu() - spent
        after = scene.tenant.statistics()
    counted = {name: after[name] - before[name] for name in ("mints", "token_requests", "connections")}
    if counted["mints"] != AUDIENCES:
        raise Failed(f"{server.name}: {counted['mints']} mints")
    return {
        "seconds": seconds,
        **load.cost(spent, AUDIENCES),
        "connections": counted["connections"] - 1,
        # Requests that the tenant did not answer with a token, as with 429.
        "refusals": counted["token_requests"] - counted["mints"],
    }


def highest_in_flight(start: Start) -> Figures:
    """What /status.json says of requests in flight, looked at all the time in a run that is not timed."""
    with start() as server, watching(server) as seen:
        ask_at_once(server)
    return {"most in flight": max(seen, default=0), "median": statistics.median(seen or [0])}


@contextmanager
def watching(server: Peer) -> Iterator[list[int]]:
    seen: list[int] = []
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(0.01):
            try:
                _, body = server.get("/status.json", server.admin_port)
            except OSError:
                continue
            seen.append(json.loads(body)["clients"][0]["in_flight"])

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join(20)


def ask_at_once(peer: Peer) -> float:
    """Asks for each audience on a connection of its own, all at the same time; seconds until the last is answered."""
    paths = token_paths(AUDIENCES)
    clients = [load.Client(peer) for _ in paths]
    started = time.monotonic()
    for client, path in zip(clients, paths):
        client.ask(path)
    for client in clients:
        while not client.has_answer():
            pass
    seconds = time.monotonic() - started
    for client in clients:
        client.close()
    return seconds
