"""How cost grows with audiences, connections, callers' keys, and brokers on a store."""

import statistics
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

import answers
import chart
import documents
import load
from figures import Figures, Rounds, alternating, median
from peers import Peer, token_path, token_paths
from scene import Scene
from services import Redis

CONNECTIONS, KEYS, BROKERS = (1, 100, 10_000), (1, 10, 100), (1, 10)
# Beyond what an address is allowed by default, so that those of a round that ends are not in the way of the next.
MANY_CONNECTIONS = "limits: {connections: 12000}"
# Audiences that each broker on a store is asked for.
SHARED = 1000
# Fewer mints than these take less time than the kernel counts in.
COUNTABLE_MINTS = 500


@dataclass(frozen=True)
class Row:
    # What grows, and how many of it there are.
    what: str
    count: int
    # The processor's time for a cached answer.
    cpu_microseconds: float
    # Of one broker.
    resident_bytes: float
    # What the tenant was asked for.
    mints: int
    # The processor's time of a broker for each token that it came to hold; nothing where there were too few.
    mint_microseconds: float | None


def measure(scene: Scene) -> None:
    if scene.writes:
        documents.replaced("growth", "")
    rows: list[Row] = []
    for growing in (audiences, connections, keys, brokers):
        rows += growing(scene)
    scene.report.heading(f"how cost grows, medians of {scene.rounds} rounds of 2 s")
    for line in table(rows).splitlines():
        scene.report.say(line)
    if scene.writes:
        documents.write("growth", table(rows))
        (documents.DOCS / "growth.svg").write_text(chart.svg(panels(rows)))


def table(rows: list[Row]) -> str:
    """In Markdown."""
    lines = ["| what grows | to | CPU for a cached answer | memory of a broker | mints | CPU for each token it holds |"]
    lines += ["|---|---|---|---|---|---|"]
    for row in rows:
        minted = f"{row.mint_microseconds:.0f} µs" if row.mint_microseconds else ""
        lines.append(
            f"| {row.what} | {row.count:,} | {row.cpu_microseconds:.1f} µs | {row.resident_bytes / 1e6:.0f} MB | "
            f"{row.mints:,} | {minted} |")
    return "\n".join(lines)


def panels(rows: list[Row]) -> list[list[chart.Panel]]:
    """A row of panels with the time for an answer, and one with memory below it."""
    kinds = {row.what: [other for other in rows if other.what == row.what] for row in rows}
    return [
        [
            chart.Panel(f"{what}: µs an answer", [(row.count, row.cpu_microseconds) for row in kind])
            for what, kind in kinds.items()
        ],
        [
            chart.Panel(f"{what}: MB", [(row.count, row.resident_bytes / 1e6) for row in kind])
            for what, kind in kinds.items()
        ],
    ]


def audiences(scene: Scene) -> list[Row]:
    """One broker that holds more and more; answers are measured once it holds all."""
    counts = sorted({min(count, scene.audiences) for count in (1, 10, 1000, scene.audiences)})
    paths, held = token_paths(scene.audiences), 0
    resident, minted = {}, {}
    with scene.broker() as broker:
        for count in counts:
            before = broker.cpu()
            with scene.tenant.expecting(count - held):
                load.ask_each(broker, paths[held:count])
            minted[count] = each(load.cost(broker.cpu() - before, count - held), count - held)
            resident[count], held = broker.resident(), count
        # As many requests for the client to draw from each time, so that these cost it the same.
        scripts = {
            str(count): load.rotating(
                scene.directory / f"{count}.lua",
                zip((paths[number % count] for number in range(scene.audiences)), load.numbers(scene.audiences)))
            for count in counts
        }
        rounds = alternating(scene.rounds, scripts, lambda script: load.wrk(broker, 64, script=script))
    return [Row("audiences", count, cpu(rounds, count), resident[count], count, minted[count]) for count in counts]


def each(figures: Figures, mints: int) -> float | None:
    return figures["CPU µs"] if mints >= COUNTABLE_MINTS else None


def cpu(rounds: Rounds, count: int) -> float:
    return median(rounds[str(count)], "CPU µs")


def connections(scene: Scene) -> list[Row]:
    """A broker for each count; memory is what it takes while all are open and ask."""
    path = token_path()
    resident: dict[int, list[int]] = {count: [] for count in CONNECTIONS}
    many = partial(scene.broker, configuration=MANY_CONNECTIONS)
    with ExitStack() as stack:
        servers = {str(count): (count, stack.enter_context(many())) for count in CONNECTIONS}
        for _, broker in servers.values():
            broker.token(path)

        def run(subject: tuple[int, Peer]) -> Figures:
            count, broker = subject
            seconds = 6 if count > 1000 else 2
            return load.wrk(
                broker, count, path, seconds=seconds, halfway=lambda: resident[count].append(broker.resident()))

        rounds = alternating(scene.rounds, servers, run)
    return [Row("connections", count, cpu(rounds, count), max(resident[count]), 1, None) for count in CONNECTIONS]


def keys(scene: Scene) -> list[Row]:
    """A broker for each count of callers, all of whom ask in turns."""
    path = token_path()
    with ExitStack() as stack:
        servers = {}
        for count in KEYS:
            held = answers.caller_keys(count)
            broker = stack.enter_context(
                scene.broker(configuration=answers.callers(held, ["*"]), headers=answers.bearer(held[0])))
            broker.token(path)
            # The script says who asks.
            broker.headers = {}
            script = load.rotating(
                scene.directory / f"keys-{count}.lua",
                ((path, answers.bearer(held[number % count])) for number in range(max(KEYS))))
            servers[str(count)] = broker, script
        rounds = alternating(
            scene.rounds, servers, lambda subject: load.wrk(subject[0], 64, script=subject[1]))
        resident = {count: servers[str(count)][0].resident() for count in KEYS}
    return [Row("callers' keys", count, cpu(rounds, count), resident[count], 1, None) for count in KEYS]


def brokers(scene: Scene) -> list[Row]:
    """Fleets with a store each, all of whose brokers are asked for the same at once; then one of each fleet answers."""
    path, rows, first, figures = token_path(), [], {}, {}
    with ExitStack() as stack:
        for count in BROKERS:
            directory = scene.directory / f"store-{count}"
            directory.mkdir()
            redis = stack.enter_context(Redis(directory))
            fleet = [stack.enter_context(scene.broker(settings={"BROKER_STORE": redis.url})) for _ in range(count)]
            figures[count] = fill(scene, fleet)
            first[str(count)] = fleet[0]
        rounds = alternating(scene.rounds, first, lambda broker: load.wrk(broker, 64, path))
    for count in BROKERS:
        filled = figures[count]
        rows.append(
            Row("brokers on a store", count, cpu(rounds, count), filled["resident"], int(filled["mints"]),
                filled["CPU µs"]))
    return rows


def fill(scene: Scene, fleet: list[Peer]) -> Figures:
    """Asks all of them for the same audiences at once."""
    before, mints = [broker.cpu() for broker in fleet], scene.tenant.statistics()["mints"]
    with ThreadPoolExecutor(len(fleet)) as pool:
        list(pool.map(lambda broker: load.ask_each(broker, token_paths(SHARED), 8), fleet))
    spent = sum((broker.cpu() - earlier).total for broker, earlier in zip(fleet, before))
    return {
        "CPU µs": 1e6 * spent / (SHARED * len(fleet)),
        "mints": scene.tenant.statistics()["mints"] - mints,
        "resident": statistics.mean(broker.resident() for broker in fleet),
    }
