"""What a cached answer costs, and that it allocates nothing; and by HTTP/2, to callers with keys, with a store."""

import hashlib
import re
import signal
import time
from contextlib import ExitStack

import load
from figures import BASE, OWN, Failed, Figures, alternating, at_least, at_most, median
from peers import Peer, token_path
from scene import Scene
from services import Redis, certificate


def measure(scene: Scene) -> None:
    """By HTTP/1.1 on connections that stay, and the allocations of it."""
    path, report = token_path(), scene.report
    with ExitStack() as stack:
        servers = scene.started(stack, scene.ours())
        body = servers[OWN].token(path)
        servers |= scene.started(stack, scene.nginxes(body))
        servers["nginx cache"] = stack.enter_context(scene.nginx_cache(body))
        servers["Go"] = stack.enter_context(scene.go())
        for server in servers.values():
            server.token(path)
        for connections in (64, 512):
            rounds = alternating(scene.rounds, servers, lambda server: load.wrk(server, connections, path))
            report.heading(
                f"cached answers by HTTP/1.1, {connections} connections, medians of {scene.rounds} rounds of 2 s")
            report.table(rounds)
            bounds = {"nginx": at_most(1.0), "nginx, random id": None, BASE: at_most(1.01)}
            if connections == 64:
                report.ratios(rounds, "CPU µs", bounds)
                report.value("user µs, the broker's own share", median(rounds[OWN], "user µs"), "µs", at_most(1.3))
                report.ratio(rounds, "user µs", BASE)
            else:
                report.ratios(rounds, "CPU µs", dict.fromkeys(bounds))
        report.heading("resident after that load, MB")
        report.table({name: [{"MB": server.resident() / 1e6}] for name, server in servers.items()})
    measure_allocations(scene)


def measure_allocations(scene: Scene) -> None:
    """Counted by a preloaded library, which says so on standard error when it is sent SIGWINCH."""
    path, count, log = token_path(), 20_000, scene.directory / "allocations"
    with log.open("w") as stderr, scene.broker(preload=scene.executables.counter, stderr=stderr) as broker:

        def counted(number: int) -> int:
            load.ask_each(broker, [path] * number, connections=1)
            before = re.findall(r"allocations (\d+)", log.read_text())
            broker.process.send_signal(signal.SIGWINCH)
            deadline = time.monotonic() + 10
            while len(found := re.findall(r"allocations (\d+)\n", log.read_text())) <= len(before):
                if time.monotonic() > deadline:
                    raise Failed("no count of allocations has come")
                time.sleep(0.01)
            return int(found[-1])

        before = counted(1000)
        figure = (counted(count) - before) / count
    scene.report.heading(f"allocations of a cached answer, over {count:,}; the field Date is made anew once a second")
    scene.report.value("allocations", figure, "", at_most(0.01))


def measure_http2(scene: Scene) -> None:
    path, report = token_path(), scene.report
    with ExitStack() as stack:
        servers = scene.started(stack, scene.ours())
        body = servers[OWN].token(path)
        for server in servers.values():
            server.token(path)
        servers |= scene.started(stack, scene.nginxes(body, tls=certificate(scene.directory)))
        rounds = alternating(scene.rounds, servers, lambda server: load.h2load(server, path))
    report.heading(
        f"cached answers by HTTP/2, 8 connections with 32 requests at once, medians of {scene.rounds} rounds of 2 s")
    report.table(rounds)
    report.ratio(rounds, "requests/s", "nginx", at_least(1.0))
    report.ratios(rounds, "CPU µs", {"nginx": at_most(1.0), "nginx, random id": None, BASE: None})


def caller_keys(count: int) -> list[str]:
    return [f"tb_{number:040}" for number in range(count)]


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def callers(keys: list[str], audiences: list[str], more: str = "") -> str:
    """The settings of a caller for each key, who may have these audiences, with `more` of YAML."""
    quoted = ", ".join(f'"{audience}"' for audience in audiences)
    lines = ["callers:"]
    for number, key in enumerate(keys):
        digest = hashlib.sha256(key.encode()).hexdigest()
        lines.append(f"  caller-{number}: {{bearerSHA256: {digest}, audiences: [{quoted}]{more}}}")
    return "\n".join(lines)


def measure_callers(scene: Scene) -> None:
    """A hundred callers with ten audiences each, and one of them asks; then with a line of the log for each answer."""
    path, keys = token_path(), caller_keys(100)
    configuration = callers(keys, [f"https://{number}.example.com/" for number in range(10)])
    options = {"configuration": configuration, "headers": bearer(keys[50])}
    with (
        scene.broker(name="without") as anyone,
        scene.broker(**options) as known,
        scene.broker(name="audited", settings={"BROKER_LOG_LEVEL": "info"}, **options) as audited,
    ):
        servers = {OWN: known, "without": anyone, "audited": audited}
        for server in servers.values():
            server.token(path)
        rounds = alternating(scene.rounds, servers, lambda server: load.wrk(server, 64, path))
    scene.report.heading(
        f"cached answers to one of 100 callers, without callers, and with a log line for each, 64 connections, "
        f"medians of {scene.rounds} rounds of 2 s")
    scene.report.table(rounds)
    scene.report.ratio(rounds, "CPU µs", "without", at_most(1.3))
    scene.report.ratio(rounds, "CPU µs", "without", own="audited")


def measure_store(scene: Scene) -> None:
    """Cached answers of a broker with a store, while that is well and while it does not answer."""
    path = token_path()
    with (
        Redis(scene.directory) as redis,
        scene.broker(name="without") as alone,
        scene.broker(settings={"BROKER_STORE": redis.url}) as sharing,
    ):
        alone.token(path)
        sharing.token(path)

        def run(subject: tuple[Peer, bool]) -> Figures:
            server, is_paused = subject
            if not is_paused:
                return load.wrk(server, 64, path)
            with redis.paused():
                return load.wrk(server, 64, path)

        for is_paused in (False, True):
            rounds = alternating(scene.rounds, {OWN: (sharing, is_paused), "without": (alone, False)}, run)
            scene.report.heading(
                f"cached answers with Redis as the store{' that does not answer' if is_paused else ''}, and without, "
                f"64 connections, medians of {scene.rounds} rounds of 2 s")
            scene.report.table(rounds)
            scene.report.ratio(rounds, "p99 ms", "without", at_most(1.2))
            scene.report.ratio(rounds, "CPU µs", "without")


def measure_base(scene: Scene) -> None:
    """What a change costs: the broker beside its base build, with three kinds of load."""
    path, report = token_path(), scene.report
    if not scene.executables.base:
        raise Failed("there is no base build, see BASE in `make help`")
    with ExitStack() as stack:
        servers = scene.started(stack, scene.ours())
        for server in servers.values():
            server.token(path)
            load.wrk(server, 64, path)
        for what, run in (
            ("1 connection", lambda server: load.wrk(server, 1, path)),
            ("64 connections", lambda server: load.wrk(server, 64, path)),
            ("HTTP/2", lambda server: load.h2load(server, path)),
        ):
            rounds = alternating(scene.rounds, servers, run)
            report.heading(f"cached answers, {what}, beside the base build, medians of {scene.rounds} rounds of 2 s")
            report.table(rounds)
            report.ratio(rounds, "requests/s", BASE)
            report.ratio(rounds, "CPU µs", BASE, at_most(1.01))
            if "p99 ms" in rounds[OWN][0]:
                report.ratio(rounds, "p99 ms", BASE)
