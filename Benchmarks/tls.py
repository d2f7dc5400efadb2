"""Answers and new connections by TLS, beside nginx with the same certificate and cipher."""

import ssl
from contextlib import ExitStack

import load
from figures import BASE, OWN, Failed, alternating, at_least, at_most
from peers import Peer, token_path
from scene import Scene
from services import certificate


def measure(scene: Scene) -> None:
    path, report = token_path(), scene.report
    tls = certificate(scene.directory)
    with ExitStack() as stack:
        servers = scene.started(stack, scene.ours(tls=tls))
        body = servers[OWN].token(path)
        for server in servers.values():
            server.token(path)
        nginxes = scene.started(stack, scene.nginxes(body, tls=tls))
        cipher = agreed(servers | nginxes)
        rounds = alternating(
            scene.rounds, servers | nginxes, lambda server: load.wrk(server, 64, path, tls=True))
        report.heading(
            f"cached answers by TLS ({cipher}), 64 connections that stay, medians of {scene.rounds} rounds of 2 s")
        report.table(rounds)
        report.ratios(rounds, "CPU µs", {"nginx": at_most(0.8), "nginx, random id": None, BASE: None})
        report.ratio(rounds, "requests/s", "nginx", at_least(0.95))
        # Its fields do not matter here.
        del nginxes["nginx, random id"]
        for resumed, what in ((False, "full handshakes"), (True, "resumed sessions")):
            rounds = alternating(
                scene.rounds, servers | nginxes, lambda server: load.handshakes(server, path, resumed=resumed))
            report.heading(
                f"new connections by TLS ({cipher}) that ask once, {what}, medians of {scene.rounds} rounds of 2 s")
            report.table(rounds)
            report.ratios(rounds, "handshakes/s", {"nginx": at_least(1.0), BASE: None})
            report.ratio(rounds, "CPU µs", "nginx")


def agreed(servers: dict[str, Peer]) -> str:
    """The version and cipher that all of them choose."""
    choices = {server.name: chosen(server) for server in servers.values()}
    if len(set(choices.values())) > 1:
        raise Failed(f"different ciphers are not to be compared: {choices}")
    return choices[OWN]


def chosen(server: Peer) -> str:
    client = load.Client(server, tls=True)
    try:
        assert isinstance(client.socket, ssl.SSLSocket)
        cipher = client.socket.cipher()
        return f"{cipher[1]}, {cipher[0]}" if cipher else "none"
    finally:
        client.close()
