"""What one core does and what is held, with which docs/sizing.md begins."""

from contextlib import ExitStack

import answers
import documents
import load
from figures import Rounds, alternating, median
from memory import IDLE, IDLE_TLS, idle_bytes
from peers import Peer, token_path, token_paths
from scene import Scene
from services import certificate

AUDIENCES = 20_000
KEY = "tb_" + "0" * 43


def measure(scene: Scene) -> None:
    """By the broker's own processor time, and so as if all of a core were its own."""
    if scene.writes:
        documents.replaced("sizing", "")
    tls = certificate(scene.directory)
    with ExitStack() as stack:
        broker = stack.enter_context(scene.broker(tls=tls))
        callers = stack.enter_context(
            scene.broker(
                name="callers", configuration=answers.callers([KEY], ["*"], ", requestsPerMinute: 100000000"),
                settings={"BROKER_LOG_LEVEL": "info"}, headers=answers.bearer(KEY)))
        files = broker.resident() - broker.anonymous()
        at_rest = [
            ("the start, to the first answer", f"{1000 * broker.seconds_to_first_answer:.0f} ms"),
            ("a replica at rest", f"{broker.resident() / 1e6:.0f} MB resident, of which {files / 1e6:.0f} MB are its "
             "program and libraries, as in their files"),
        ]
        held = broker.anonymous()
        before = broker.cpu()
        load.ask_each(broker, token_paths(AUDIENCES))
        minted = load.cost(broker.cpu() - before, AUDIENCES)
        held = (broker.anonymous() - held) // AUDIENCES
        callers.token(token_path())
        rounds = costs(scene, broker, callers)
    # Another process, as this one has memory to use again.
    with scene.broker(tls=tls) as broker:
        idle = idle_bytes(broker, IDLE, False), idle_bytes(broker, IDLE_TLS, True)
    rounds["a token minted: asked for, its signature checked, handed to every loop"] = [minted]
    done, taken = costs_table(rounds), memory_table(at_rest, held, idle)
    scene.report.heading(f"one core, medians of {scene.rounds} rounds, and memory")
    for line in [*done.splitlines(), "", *taken.splitlines()]:
        scene.report.say(line)
    if scene.writes:
        documents.write("sizing", f"{done}\n\n{taken}")


def costs(scene: Scene, broker: Peer, callers: Peer) -> Rounds:
    path = token_path()
    loads = {
        "a cached answer by HTTP/1.1, a connection kept": lambda: load.wrk(broker, 64, path),
        "the same with a caller's key, its limit, and a log line": lambda: load.wrk(callers, 64, path),
        "the same without those, by TLS": lambda: load.wrk(broker, 64, path, tls=True),
        "by HTTP/2, 32 requests at once on a connection": lambda: load.h2load(broker, path),
        "a new TLS connection, with one request": lambda: load.handshakes(broker, path, resumed=False),
        "a new TLS connection that resumes a session": lambda: load.handshakes(broker, path, resumed=True),
    }
    return alternating(scene.rounds, loads, lambda put: put())


def costs_table(rounds: Rounds) -> str:
    lines = ["| what | costs | so a core does |", "|---|---|---|"]
    for what, rows in rounds.items():
        each = median(rows, "CPU µs")
        lines.append(f"| {what} | {digits(each)} µs | {digits(1e6 / each)} a second |")
    return "\n".join(lines)


def memory_table(at_rest: list[tuple[str, str]], held: int, idle: tuple[float, float]) -> str:
    rows = [
        *at_rest,
        ("a token held", f"{held / 1000:.1f} kB"),
        ("an idle connection", f"{idle[0] / 1000:.1f} kB; by TLS {idle[1] / 1000:.0f} kB"),
    ]
    return "\n".join(["| what | takes |", "|---|---|", *(f"| {what} | {takes} |" for what, takes in rows)])


def digits(figure: float) -> str:
    """Two of them, which is as much as another day would repeat."""
    scale = 10 ** max(0, len(str(int(figure))) - 2)
    return f"{round(figure / scale) * scale:,.0f}" if figure >= 10 else f"{figure:.1f}"
