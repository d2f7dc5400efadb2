"""How soon a broker answers after its start."""

import statistics

from figures import OWN, at_most
from scene import Scene


def measure(scene: Scene) -> None:
    times = []
    for _ in range(2 * scene.rounds + 1):
        with scene.broker() as broker:
            times.append(1000 * broker.seconds_to_first_answer)
    scene.report.heading(f"from the start to the first answer of /healthz, median of {len(times)} starts")
    scene.report.value(OWN, statistics.median(times), "ms", at_most(50))
