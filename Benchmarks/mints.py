"""The processor's time for a token that is asked for, validated and kept."""

import load
from figures import BASE, Figures, alternating, at_most
from peers import token_path, token_paths
from scene import Scene, Start

AUDIENCES, CONNECTIONS = 2000, 16


def measure(scene: Scene) -> None:
    """A new process each round: nothing is held but what the first mint needs, such as keys and a connection."""

    def run(start: Start) -> Figures:
        with start() as server:
            server.token(token_path(AUDIENCES))
            with scene.tenant.expecting(AUDIENCES):
                before = server.cpu()
                seconds = load.ask_each(server, token_paths(AUDIENCES), CONNECTIONS)
                return {**load.cost(server.cpu() - before, AUDIENCES), "mints/s": AUDIENCES / seconds}

    rounds = alternating(scene.rounds, scene.ours() | {"Go": scene.go}, run)
    report = scene.report
    report.heading(
        f"a token asked for and validated (Go validates nothing), {AUDIENCES:,} cold audiences over {CONNECTIONS} "
        f"connections, medians of {scene.rounds} rounds")
    report.table(rounds)
    report.ratios(rounds, "CPU µs", {BASE: at_most(0.5), "Go": at_most(1.0)})
