"""One connection with one request at a time, which shows what an answer has to wait for."""

import os
from contextlib import ExitStack

import load
from figures import BASE, OWN, alternating, at_least
from peers import token_path
from scene import Scene


def measure(scene: Scene) -> None:
    """Each server has a core of its own and the client the other; then again wherever the kernel puts them."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) > 1:
        compare(scene, cores[0], cores[-1])
    else:
        scene.report.heading("one connection, pinned: not measured, as that takes two cores")
    compare(scene, None, None)


def compare(scene: Scene, core: int | None, clients_core: int | None) -> None:
    path = token_path()
    with ExitStack() as stack:
        servers = scene.started(stack, scene.ours(core=core))
        body = servers[OWN].token(path)
        servers |= scene.started(stack, scene.nginxes(body, core=core))
        servers["Go"] = stack.enter_context(scene.go(core))
        for server in servers.values():
            server.token(path)
        rounds = alternating(scene.rounds, servers, lambda server: load.wrk(server, 1, path, core=clients_core))
    pinned = core is not None
    where = "each server pinned to a core" if pinned else "not pinned: the kernel decides who wakes where"
    scene.report.heading(
        f"one connection, one request at a time, {where}, medians of {scene.rounds} rounds of 2 s")
    scene.report.table(rounds)
    bounds = {"nginx": at_least(1.15), "nginx, random id": None, "Go": at_least(2.0), BASE: None}
    scene.report.ratios(rounds, "requests/s", {name: bound if pinned else None for name, bound in bounds.items()})
