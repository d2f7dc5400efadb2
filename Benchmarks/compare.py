"""What a change costs a cached answer: the broker beside itself as of another revision, with equal load in turns.

Usage: compare.py BROKER BASE TENANT [--rounds N]
Figures are the broker's to the base's, of each round; the middle half of them says how much there is to a median.
"""

import argparse
import pathlib
import statistics
import tempfile

import bench
import load
import peers


def main():
    parser = argparse.ArgumentParser()
    for name in ("broker", "base", "tenant"):
        parser.add_argument(name, type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=15, help="two at the least")
    options = parser.parse_args()
    path = peers.token_path()
    with (
        tempfile.TemporaryDirectory() as directory,
        peers.Tenant(options.tenant, 1, pathlib.Path(directory)) as tenant,
        peers.broker(options.broker, tenant) as broker,
        peers.broker(options.base, tenant, name="base") as base,
    ):
        for peer in (broker, base):
            peer.get(path)
            load.wrk(peer, 64, path)
        loads = {
            "1 connection": lambda peer: load.wrk(peer, 1, path),
            "64 connections": lambda peer: load.wrk(peer, 64, path),
            "HTTP/2": lambda peer: load.h2load(peer, path),
        }
        for name, run in loads.items():
            bench.heading(f"Cached answers, {name}, broker / base ({options.rounds} rounds of 2 s each)")
            runs = []
            for number in range(options.rounds):
                # Neither is always the one that the machine has just rested for.
                order = (broker, base) if number % 2 == 0 else (base, broker)
                runs.append({peer.name: run(peer) for peer in order})
            for figure in (name for name in ("requests/s", "CPU/request", "p99") if name in runs[0]["base"]):
                ratios = [both["broker"][figure] / both["base"][figure] for both in runs]
                low, median, high = statistics.quantiles(ratios)
                verdict = f" ({bench.reached(median, 1.03, True)}: at most 1.03)" if figure == "CPU/request" else ""
                print(f"  {figure:<12} {median:.3f}, half of them {low:.3f} to {high:.3f}{verdict}", flush=True)


if __name__ == "__main__":
    main()
