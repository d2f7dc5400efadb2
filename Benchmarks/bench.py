"""Compares the broker with what a team would use instead, and with an earlier build of itself, side by side."""

import argparse
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import answers
import attack
import cold
import growth
import memory
import mints
import peers
import rest
import single
import sizing
import start
import tls
from figures import Failed, Report
from scene import Executables, Scene
from services import Tenant

EXPLANATION = """
Each section prints medians of rounds in which the servers take turns, and then ratios: the median of the rounds' own
ratios, and within what the middle half of them lies. Where that is wide the machine is busy with something else, and
more rounds help. Absolute figures say more about a machine than about a server: take those for a machine like yours.

A bound that is missed is said beside its figure and once more at the end. That is no failure, for on a machine that
others use a sound build misses some now and then; with --strict, for one that is idle, the status is 1. A section that
cannot be measured does not end the others, and the status is 1 always. All take some twenty minutes on two cores.
"""


@dataclass(frozen=True)
class Section:
    what: str
    measure: Callable[[Scene], None]
    # Audiences that the tenant knows; none: as many as --audiences says.
    audiences: int | None = 1
    # How long the tenant takes over a token.
    milliseconds: int = 0


SECTIONS = {
    "mints": Section("CPU of a validated mint", mints.measure, mints.AUDIENCES + 1),
    "memory": Section("memory of a token, and answers from many", memory.measure, None),
    "rest": Section("resident at rest, by mapping", rest.measure),
    "cold": Section("1,000 cold audiences at once", cold.measure, cold.AUDIENCES, cold.LATENCY_MILLISECONDS),
    "single": Section("one connection, pinned and not", single.measure),
    "tls": Section("TLS: answers, full and resumed handshakes", tls.measure),
    "load": Section("CPU and allocations of a cached answer", answers.measure),
    "growth": Section("how cost grows; --write for docs/", growth.measure, None),
    "start": Section("the start", start.measure),
    "idle": Section("memory of idle connections", memory.measure_idle),
    "http2": Section("HTTP/2", answers.measure_http2),
    "callers": Section("callers with keys, and their log lines", answers.measure_callers),
    "store": Section("a store, and one that does not answer", answers.measure_store),
    "attack": Section("healthy callers beside hostile ones", attack.measure),
    "sizing": Section("what a core does; --write for docs/", sizing.measure, sizing.AUDIENCES),
}
# What `make compare` asks for; `load` says as much with fewer rounds.
NAMED = {"base": Section("cached answers beside the base build alone", answers.measure_base)}


def arguments() -> argparse.Namespace:
    listed = "\n".join(f"  {name:<10}{section.what}" for name, section in (SECTIONS | NAMED).items())
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"sections, all but base without any:\n{listed}\n{EXPLANATION}")
    parser.add_argument("broker", type=Path)
    parser.add_argument("tenant", type=Path)
    parser.add_argument("peers", type=Path, help="the directory with go-broker and count-allocations.so")
    parser.add_argument("--base", type=Path, help="the broker as of another revision; without it no ratio has it")
    parser.add_argument("--rounds", type=int, default=5, help="of each measurement (5)")
    parser.add_argument("--audiences", type=int, default=100_000, help="the most that memory and growth hold (100,000)")
    parser.add_argument("--write", action="store_true", help="write figures of growth and sizing into docs/")
    parser.add_argument("--strict", action="store_true", help="status 1 where a bound is missed")
    parser.add_argument("sections", nargs="*", metavar="SECTION", choices=[*SECTIONS, *NAMED, []])
    return parser.parse_intermixed_args()


def describe(options: argparse.Namespace) -> None:
    """What the figures depend on."""
    cores = len(os.sched_getaffinity(0))
    nginx = subprocess.run(["nginx", "-v"], capture_output=True, text=True, timeout=10).stderr.strip().split("/")[-1]
    print(f"{cores} cores, Linux {platform.release()}, nginx {nginx}, load average {os.getloadavg()[0]:.1f}")
    if not options.base:
        print("No base build: what compares with one is not measured. BASE=51a2d49 names a revision.")
    if os.getloadavg()[0] > cores / 2:
        print("Something else uses this machine: figures and ratios will vary.")


def measure(name: str, options: argparse.Namespace, report: Report) -> None:
    section = (SECTIONS | NAMED)[name]
    report.section = name
    started = time.monotonic()
    executables = Executables(
        options.broker.resolve(), options.tenant.resolve(), options.peers.resolve() / "go-broker",
        options.peers.resolve() / "count-allocations.so", options.base.resolve() if options.base else None)
    with tempfile.TemporaryDirectory() as path:
        directory = Path(path)
        audiences = section.audiences or options.audiences
        try:
            with Tenant(executables.tenant, audiences, directory, section.milliseconds) as tenant:
                section.measure(
                    Scene(
                        executables, options.rounds, options.audiences, options.write, directory, tenant, report))
        except (Failed, OSError, subprocess.SubprocessError) as failure:
            report.failed.append(f"{name}: {str(failure).splitlines()[0][:120]}")
            report.say(f"FAILED: {failure}")
    report.say(f"({time.monotonic() - started:.0f} s)")


def main() -> int:
    options = arguments()
    # So that what was started is ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    peers.raise_descriptor_limit()
    report = Report()
    describe(options)
    for name in options.sections or SECTIONS:
        measure(name, options, report)
    report.end()
    return 1 if report.failed or (options.strict and report.missed) else 0


if __name__ == "__main__":
    sys.exit(main())
