"""What is resident of a broker that nobody asks, and where it comes from."""

import re
import time
from pathlib import Path

import processes
from figures import BASE, OWN, Figures, alternating, at_most, median
from memory import SETTLING
from peers import Peer, token_path
from scene import Scene, Start

MB = 1e6
# How many mappings are named.
LARGEST = 12


def measure(scene: Scene) -> None:
    """At rest after the start, and once the first token is held: libcurl and the tenant's keys are loaded by then."""
    starts = scene.ours()
    builds = {OWN: scene.executables.broker, BASE: scene.executables.base}
    for executable in (builds[name] for name in starts):
        # A page fault maps what of the file around it is in the page cache: let all of it be there for both.
        if executable:
            executable.read_bytes()
    last: list[processes.Mapping] = []

    def run(start: Start, asks: bool) -> Figures:
        with start() as server:
            if asks:
                server.token(token_path())
            time.sleep(SETTLING)
            if server.name == OWN:
                last[:] = processes.mappings(server.process.pid)
            return by_kind(server)

    for asks, when in ((False, "after the start"), (True, "with the first token")):
        rounds = alternating(scene.rounds, starts, lambda start: run(start, asks))
        scene.report.heading(f"resident at rest, {when}, MB, medians of {scene.rounds} starts")
        scene.report.table(rounds)
        if not asks:
            scene.report.value("all", median(rounds[OWN], "all"), "MB", at_most(24))
        scene.report.ratio(rounds, "all", BASE, None if asks else at_most(0.75))
        list_mappings(scene, f"resident at rest, {when}, by what is mapped, of the broker, MB", last)


def list_mappings(scene: Scene, heading: str, mappings: list[processes.Mapping]) -> None:
    scene.report.heading(heading)
    largest, others = mappings[:LARGEST], mappings[LARGEST:]
    rest = processes.Mapping(
        f"{len(others)} others", sum(other.resident for other in others), sum(other.anonymous for other in others))
    for mapping in [*largest, rest]:
        name, resident, anonymous = Path(mapping.name).name, mapping.resident / MB, mapping.anonymous / MB
        scene.report.say(f"{name:<28}{resident:>8.2f}, of which {anonymous:.2f} anonymous")


def by_kind(server: Peer) -> Figures:
    """Resident MB that are as in the binary's file, as in libraries' files, as in other files, and in no file."""
    figures = {"all": 0.0, "binary": 0.0, "libraries": 0.0, "other files": 0.0, "anonymous": 0.0}
    binary = str(Path(f"/proc/{server.process.pid}/exe").resolve())
    for mapping in processes.mappings(server.process.pid):
        if mapping.name == binary:
            kind = "binary"
        elif re.search(r"\.so(\.[\d.]+)?$", mapping.name):
            kind = "libraries"
        else:
            kind = "other files"
        figures[kind] += (mapping.resident - mapping.anonymous) / MB
        figures["anonymous"] += mapping.anonymous / MB
        figures["all"] += mapping.resident / MB
    return figures
