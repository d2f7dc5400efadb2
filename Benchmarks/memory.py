"""What a held token takes, whether many of them slow an answer down, and what idle connections take."""

import time
from contextlib import ExitStack

import load
from figures import BASE, OWN, Figures, Rounds, alternating, at_least, at_most
from peers import Peer, token_path, token_paths
from scene import Scene
from services import certificate

# How long a process may take to give memory back, in seconds.
SETTLING = 2
# The smaller of the two counts of audiences; --audiences is the larger.
FEWER = 20_000
# As many idle connections, plain and by TLS, as there are descriptors for on a usual machine.
IDLE, IDLE_TLS = 5000, 1000


def measure(scene: Scene) -> None:
    counts = sorted({min(FEWER, scene.audiences), scene.audiences})
    held: Rounds = {}
    for name, start in scene.ours().items():
        with start() as server:
            held[name] = [held_bytes(scene, server, counts)]
            if name == OWN:
                rounds = answers(scene, server)
    with scene.go() as go:
        held["Go"] = [held_bytes(scene, go, counts[:1])]
    report = scene.report
    report.heading("anonymous memory of a token that is held, in bytes")
    for count in counts:
        row = f"at {count:,}"
        report.table({name: [{row: rows[0][row]}] for name, rows in held.items() if row in rows[0]})
    for count in counts:
        report.value(f"at {count:,}", held[OWN][0][f"at {count:,}"] / 1000, "kB", at_most(1.6))
        report.ratio(held, f"at {count:,}", BASE, at_most(0.5))
    report.heading(
        f"cached answers, {scene.audiences:,} audiences in turns to one alone while all are held, 64 connections, "
        f"medians of {scene.rounds} rounds")
    report.table(rounds)
    report.ratio(rounds, "requests/s", "one", at_least(0.95))
    report.ratio(rounds, "CPU µs", "one", at_most(1.1))


def held_bytes(scene: Scene, server: Peer, counts: list[int]) -> Figures:
    """Bytes for each token, once so many are held."""
    server.token(token_path())
    time.sleep(SETTLING)
    before, asked, figures = server.anonymous(), 1, {}
    for count in counts:
        with scene.tenant.expecting(count - asked):
            load.ask_each(server, token_paths(count)[asked:])
        asked = count
        time.sleep(SETTLING)
        figures[f"at {count:,}"] = (server.anonymous() - before) / (count - 1)
    return figures


def answers(scene: Scene, server: Peer) -> Rounds:
    """Both loads draw from as many requests, and so cost the client the same."""
    paths, count = token_paths(scene.audiences), scene.audiences
    many = load.rotating(scene.directory / "many.lua", zip(paths, load.numbers(count)))
    one = load.rotating(scene.directory / "one.lua", zip([paths[0]] * count, load.numbers(count)))
    return alternating(scene.rounds, {OWN: many, "one": one}, lambda script: load.wrk(server, 64, script=script))


def measure_idle(scene: Scene) -> None:
    """What connections take that have asked once and stay."""
    tls = certificate(scene.directory)
    report = scene.report
    with ExitStack() as stack:
        servers = scene.started(stack, scene.ours(tls=tls))
        body = servers[OWN].token(token_path())
        servers |= scene.started(stack, scene.nginxes(body, tls=tls))
        plain, secure = ({name: [{"bytes": idle_bytes(server, count, is_tls)}] for name, server in servers.items()}
                         for count, is_tls in ((IDLE, False), (IDLE_TLS, True)))
        report.heading(f"user memory of each of {IDLE:,} idle connections")
        report.table(plain)
        report.value("bytes", plain[OWN][0]["bytes"], "", at_most(2048))
        report.heading(f"user memory of each of {IDLE_TLS:,} idle connections by TLS")
        report.table(secure)


def idle_bytes(server: Peer, count: int, tls: bool) -> float:
    path = token_path()
    server.token(path)
    load.wrk(server, 64, path, tls=tls)
    before = server.anonymous()
    clients = load.idle(server, count, path, tls)
    each = (server.anonymous() - before) / count
    for client in clients:
        client.close()
    return each
