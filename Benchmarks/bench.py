"""Compares the broker with what a team would use instead, side by side on this machine.

Usage: bench.py BROKER TENANT GO_BROKER ALLOCATION_COUNTER [--rounds N] [--audiences N] [SECTION …]
Sections: start, memory, allocations, load, http2, tls, callers, store, attack, audiences, cold, sizing; all without any.
Figures are medians of interleaved rounds, and ratios of the broker to a peer: absolute ones say more about the machine. The
section sizing has those that docs/sizing.md begins with.
"""

import argparse
import contextlib
import hashlib
import pathlib
import re
import signal
import statistics
import tempfile
import time

import load
import peers


def heading(text):
    print(f"\n{text}", flush=True)


def reached(figure, bound, at_most):
    return "reached" if (figure <= bound if at_most else figure >= bound) else "MISSED"


def measure_load(options, directory, tenant):
    path = peers.token_path()
    with peers.broker(options.broker, tenant) as broker, peers.go_broker(options.go_broker, tenant) as go:
        _, body = broker.get(path)
        go.get(path)
        with (
            peers.nginx("nginx return", body.decode(), directory) as plain,
            peers.nginx("nginx cache", body.decode(), directory, caching=True) as caching,
        ):
            caching.get(path)
            others = [plain, caching, go]
            heading(f"Cached answers, broker / peer (medians of {options.rounds} interleaved rounds of 2 s)")
            print(f"{'connections':>11}  {'figure':<12}" + "".join(f"{peer.name:>14}" for peer in others))
            for connections in (1, 64, 512):
                runs = {
                    peer.name: lambda peer=peer: load.wrk(peer, connections, path) for peer in [broker, *others]
                }
                medians = load.interleaved(options.rounds, runs)
                for figure, own in medians["broker"].items():
                    ratios = "".join(f"{own / medians[peer.name][figure]:>14.2f}" for peer in others)
                    print(f"{connections:>11}  {figure:<12}{ratios}", flush=True)
            heading("Resident after that load, MB")
            for peer in [broker, *others]:
                print(f"  {peer.name:<14}{peer.kib() / 1000:.1f}")


def compare(own, other, bounds):
    """Prints the ratio of each figure, and its verdict where it has a bound: (bound, whether that is the most)."""
    for figure, value in own.items():
        ratio, verdict = value / other[figure], ""
        if figure in bounds:
            bound, at_most = bounds[figure]
            verdict = f" ({reached(ratio, bound, at_most)}: at {'most' if at_most else 'least'} {bound})"
        print(f"  {figure:<13} {ratio:.2f}{verdict}", flush=True)


@contextlib.contextmanager
def secure_pair(options, directory, tenant):
    """The broker and nginx, with the same answer and the same certificate."""
    tls = peers.certificate(directory)
    with peers.broker(options.broker, tenant, tls=tls) as broker:
        _, body = broker.get(peers.token_path())
        with peers.nginx("nginx return", body.decode(), directory, tls=tls) as plain:
            yield broker, plain


def measure_http2(options, directory, tenant):
    with secure_pair(options, directory, tenant) as pair:
        runs = {peer.name: lambda peer=peer: load.h2load(peer, peers.token_path()) for peer in pair}
        medians = load.interleaved(options.rounds, runs)
    heading("Cached answers by HTTP/2, 8 connections with 32 requests at once, broker / nginx return")
    compare(*medians.values(), {"requests/s": (1.0, False), "CPU/request": (1.0, True)})


def measure_tls(options, directory, tenant):
    path = peers.token_path()
    with secure_pair(options, directory, tenant) as pair:
        runs = {peer.name: lambda peer=peer: load.wrk(peer, 64, path, tls=True) for peer in pair}
        medians = load.interleaved(options.rounds, runs)
        heading("Cached answers by TLS, 64 connections that stay, broker / nginx return")
        compare(*medians.values(), {"requests/s": (0.95, False)})
        runs = {peer.name: lambda peer=peer: load.resume(peer, path) for peer in pair}
        medians = load.interleaved(options.rounds, runs)
        heading("New connections that resume a session of TLS 1.3 and ask once, broker / nginx return")
        compare(*medians.values(), {"handshakes/s": (0.9, False)})
        heading("User memory of each of 1,000 idle connections by TLS")
        for peer in pair:
            before = peer.kib("RssAnon")
            clients = load.idle(peer, 1000, path, tls=True)
            print(f"  {peer.name:<14}{(peer.kib('RssAnon') - before) * 1024 / 1000:.0f} B")
            for client in clients:
                client.close()


def measure_cold(options, directory, tenant):
    paths = [peers.token_path(number) for number in range(COLD)]
    heading(f"{COLD} audiences that nobody has asked for, all at once, from a tenant that takes 50 ms over each")
    file = directory / "broker.yaml"
    for most in (32, 1000):
        file.write_text(f"upstream: {{maxConcurrent: {most}}}\n")
        times, connections = [], []
        for _ in range(options.rounds):
            before = tenant.statistics()
            with peers.broker(options.broker, tenant, settings={"BROKER_CONFIG": str(file)}) as broker:
                times.append(load.ask_at_once(broker, paths))
            after = tenant.statistics()
            mints = after["mints"] - before["mints"]
            if mints != COLD:
                raise SystemExit(f"{mints} mints")
            connections.append(after["connections"] - before["connections"] - 1)
        count = max(connections)
        print(
            f"  upstream.maxConcurrent {most}: {statistics.median(times):.2f} s, {COLD} mints, {count} connections"
            f" ({reached(count, 4, True)}: at most 4)",
            flush=True,
        )


def measure_callers(options, directory, tenant):
    """A hundred callers with ten audiences each, and one of them asks."""
    path = peers.token_path()
    keys = [f"tb_{number:040}" for number in range(100)]
    lines = ["callers:"]
    for number, key in enumerate(keys):
        digest = hashlib.sha256(key.encode()).hexdigest()
        audiences = ", ".join(f'"https://{other}.example.com/"' for other in range(10))
        lines.append(f"  caller-{number}: {{bearerSHA256: {digest}, audiences: [{audiences}]}}")
    file = directory / "callers.yaml"
    file.write_text("\n".join(lines))
    settings = {"BROKER_CONFIG": str(file)}
    headers = {"Authorization": f"Bearer {keys[50]}"}
    with (
        peers.broker(options.broker, tenant) as anyone,
        peers.broker(options.broker, tenant, name="callers", settings=settings, headers=headers) as callers,
        peers.broker(
            options.broker, tenant, name="audited", settings=settings | {"BROKER_LOG_LEVEL": "info"}, headers=headers
        ) as audited,
    ):
        servers = [anyone, callers, audited]
        for server in servers:
            server.get(path)
        runs = {server.name: lambda server=server: load.wrk(server, 64, path) for server in servers}
        medians = load.interleaved(options.rounds, runs)
    heading("Cached answers to authenticated callers, to those of an open broker, 64 connections")
    for server in servers[1:]:
        rate = medians[server.name]["requests/s"] / medians["broker"]["requests/s"]
        cpu = medians[server.name]["CPU/request"] / medians["broker"]["CPU/request"]
        verdict = f" ({reached(cpu, 1.3, True)}: at most 1.3)" if server is callers else ", with a log line each"
        print(f"  {server.name}: CPU/request {cpu:.2f}{verdict}, requests/s {rate:.2f}")


def measure_store(options, directory, tenant):
    """Cached answers of a broker with a store, while that is well and while it does not answer."""
    path = peers.token_path()
    with (
        peers.Redis(directory) as redis,
        peers.broker(options.broker, tenant) as alone,
        peers.broker(options.broker, tenant, name="store", settings={"BROKER_STORE": redis.url}) as sharing,
    ):
        for server in (alone, sharing):
            server.get(path)

        def paused():
            with redis.paused():
                return load.wrk(sharing, 64, path)

        runs = {
            "alone": lambda: load.wrk(alone, 64, path), "well": lambda: load.wrk(sharing, 64, path), "paused": paused
        }
        medians = load.interleaved(options.rounds, runs)
    heading("Cached answers with Redis as the store, to those without one, 64 connections")
    for name in ("well", "paused"):
        ratios = {figure: own / medians["alone"][figure] for figure, own in medians[name].items()}
        print(
            f"  {name}: p99 {ratios['p99']:.2f} ({reached(ratios['p99'], 1.2, True)}: at most 1.2), "
            f"CPU/request {ratios['CPU/request']:.2f}, requests/s {ratios['requests/s']:.2f}"
        )


def measure_start(options, directory, tenant):
    times = []
    for _ in range(2 * options.rounds + 1):
        with peers.broker(options.broker, tenant) as broker:
            times.append(1000 * broker.seconds_to_first_answer)
    figure = statistics.median(times)
    heading(f"Start to the first /healthz: {figure:.0f} ms ({reached(figure, 50, True)}: at most 50)")


def measure_memory(options, directory, tenant):
    path, count = peers.token_path(), 10_000
    with peers.broker(options.broker, tenant) as broker:
        figure = broker.kib() / 1000
        heading(f"Resident at rest: {figure:.1f} MB ({reached(figure, 24, True)}: at most 24)")
        broker.get(path)
        load.wrk(broker, 64, path)
        before = broker.kib("RssAnon")
        clients = load.idle(broker, count, path)
        each = (broker.kib("RssAnon") - before) * 1024 / count
        print(f"User memory of each of {count} idle connections: {each:.0f} B ({reached(each, 2048, True)}: at most 2048)")
        for client in clients:
            client.close()


def measure_audiences(options, directory, tenant):
    counts = sorted({1, min(1000, options.audiences), options.audiences})
    with peers.broker(options.broker, tenant) as broker:
        load.fetch_all(broker, [peers.token_path(number) for number in range(options.audiences)])
        runs = {}
        for count in counts:
            script = directory / f"{count}.lua"
            script.write_text(load.ROTATING.format(count=count))
            runs[count] = lambda script=script: load.wrk(broker, 64, "/", script=script)
        medians = load.interleaved(options.rounds, runs)
        heading(f"Warm audiences, all held at once, to 1 alone; resident {broker.kib() / 1000:.0f} MB")
        for count in counts[1:]:
            rate = medians[count]["requests/s"] / medians[1]["requests/s"]
            cpu = medians[count]["CPU/request"] / medians[1]["CPU/request"]
            print(f"  {count}: requests/s {rate:.2f} ({reached(rate, 0.9, False)}: at least 0.9), CPU/request {cpu:.2f}")


def measure_sizing(options, directory, tenant):
    """What one core does and what is held, by the broker's own processor time: as if all of a core were its own."""
    path, key = peers.token_path(), "tb_" + "0" * 43
    file = directory / "callers.yaml"
    file.write_text(
        f"callers: {{a: {{bearerSHA256: {hashlib.sha256(key.encode()).hexdigest()}, audiences: ['*'], "
        "requestsPerMinute: 100000000}}\n")
    with (
        peers.broker(options.broker, tenant, tls=peers.certificate(directory)) as broker,
        peers.broker(
            options.broker, tenant, name="callers", settings={"BROKER_CONFIG": str(file), "BROKER_LOG_LEVEL": "info"},
            headers={"Authorization": f"Bearer {key}"}) as callers,
    ):
        at_rest, seconds, resident = broker.kib("RssAnon"), broker.cpu_seconds(), broker.kib()
        load.fetch_all(broker, [peers.token_path(number) for number in range(SIZING)])
        held = (broker.kib("RssAnon") - at_rest) * 1024 / SIZING
        minted = (broker.cpu_seconds() - seconds) / SIZING
        callers.get(path)
        runs = {
            "HTTP/1.1": lambda: load.wrk(broker, 64, path),
            "HTTP/1.1, a caller's key and a log line": lambda: load.wrk(callers, 64, path),
            "TLS": lambda: load.wrk(broker, 64, path, tls=True),
            "HTTP/2": lambda: load.h2load(broker, path),
            "new TLS connections, resumed": lambda: load.resume(broker, path),
        }
        medians = load.interleaved(options.rounds, runs)
    heading(f"One core, medians of {options.rounds} rounds")
    for name, figures in medians.items():
        each = figures.get("CPU/request") or figures["CPU/handshake"]
        print(f"  {name:<40}{1e6 * each:>8.1f} µs each, {1 / each:>9,.0f} a second")
    print(f"  {'tokens minted, asked for and checked':<40}{1e6 * minted:>8.1f} µs each, {1 / minted:>9,.0f} a second")
    print(f"Resident at rest {resident / 1000:.0f} MB, and {held:.0f} B for each of {SIZING:,} tokens held")


def measure_allocations(options, directory, tenant):
    log = directory / "allocations"
    path, count = peers.token_path(), 20_000
    with log.open("w") as stderr, peers.broker(options.broker, tenant, options.counter, stderr) as broker:

        def counted(number):
            load.fetch_all(broker, [path] * number, connections=1)
            lines = len(log.read_text().splitlines())
            broker.process.send_signal(signal.SIGWINCH)
            deadline = time.monotonic() + 10
            while len(log.read_text().splitlines()) == lines and time.monotonic() < deadline:
                time.sleep(0.01)
            return int(re.findall(r"allocations (\d+)", log.read_text())[-1])

        before = counted(1000)
        figure = (counted(count) - before) / count
    heading(f"Allocations per cached request, over {count}: {figure:.2f} ({reached(figure, 0.01, True)}: 0; the Date field is made anew once a second)")


def measure_attack(options, directory, tenant):
    path = peers.token_path()
    calm, attacked, probes = [], [], []
    with peers.broker(options.broker, tenant) as broker:
        broker.get(path)
        for _ in range(options.rounds):
            calm.append(load.wrk(broker, 8, path)["p99"])
            attack = load.Attack(broker.port, path)
            attacked.append(load.wrk(broker, 8, path, seconds=4)["p99"])
            probes.append(load.slowest(broker, "/healthz", 50))
            attack.stop()
        resident = broker.kib() / 1000
    ratio = statistics.median(attacked) / statistics.median(calm)
    slowest = 1000 * statistics.median(probes)
    heading("Under attack: 2,000 drip headers, 5,000 idle, 200 never read")
    print(f"  p99 of 8 healthy callers to calm: {ratio:.2f} ({reached(ratio, 3, True)}: at most 3)")
    print(f"  slowest of 50 /healthz: {slowest:.0f} ms ({reached(slowest, 100, True)}: at most 100)")
    print(f"  resident afterwards: {resident:.1f} MB")


SECTIONS = {
    "start": measure_start,
    "memory": measure_memory,
    "allocations": measure_allocations,
    "load": measure_load,
    "http2": measure_http2,
    "tls": measure_tls,
    "callers": measure_callers,
    "store": measure_store,
    "attack": measure_attack,
    "audiences": measure_audiences,
    "cold": measure_cold,
    "sizing": measure_sizing,
}
# Audiences of the sections of these names.
COLD, SIZING = 1000, 20_000


def main():
    parser = argparse.ArgumentParser()
    for name in ("broker", "tenant", "go_broker", "counter"):
        parser.add_argument(name, type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--audiences", type=int, default=100_000)
    parser.add_argument("sections", nargs="*", metavar="section", help=", ".join(SECTIONS))
    options = parser.parse_intermixed_args()
    peers.raise_descriptor_limit()
    for name in options.sections or SECTIONS:
        with tempfile.TemporaryDirectory() as directory:
            directory = pathlib.Path(directory)
            audiences = {"audiences": options.audiences, "cold": COLD, "sizing": SIZING}.get(name, 1)
            with peers.Tenant(options.tenant, audiences, directory, 50 if name == "cold" else 0) as tenant:
                SECTIONS[name](options, directory, tenant)


if __name__ == "__main__":
    main()
