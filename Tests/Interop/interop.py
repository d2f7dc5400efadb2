"""Puts the broker's binary before OAuth servers and stores, behind clients, among reverse proxies and before a Prometheus
that nobody here wrote, all on loopback.

Usage: interop.py BROKER FOLDER [NAME]...

FOLDER is where they are installed. One that is not to be had is skipped, and that is said. The end status is 1 if the
broker or another program did anything that is not expected, and if of any of these kinds none could be had.
"""

import importlib
import pathlib
import signal
import sys
import tempfile
import time
import traceback

import client_harness
import clients
import harness
import monitor_harness
import proxy_harness
import store_harness
from packages import Skipped
from verdicts import Verdicts

# How each folder's modules are put to the test, and which there are.
KINDS = {
    "servers": (harness.play, [
        "openbao", "openbao_eddsa", "glewlwyd", "canaille", "django_oauth_toolkit", "authlib",
    ]),
    "clients": (client_harness.play, clients.NAMES),
    "monitors": (monitor_harness.play, ["prometheus"]),
    "stores": (store_harness.play, ["redis", "valkey"]),
    "reverse_proxies": (proxy_harness.play, ["nginx", "caddy", "traefik", "envoy", "haproxy", "apache", "varnish"]),
}


def put_to_the_test(kind, play, name, executable, folder):
    """One of `passed`, `failed` and `skipped`."""
    module = importlib.import_module(f"{kind}.{name}")
    print(f"{module.NAME}", flush=True)
    started, verdicts = time.monotonic(), Verdicts()
    try:
        with tempfile.TemporaryDirectory() as temporary:
            place = pathlib.Path(temporary)
            place.chmod(0o755)  # for a program that gives root up
            play(name, module, executable, folder, place, verdicts)
    except Skipped as reason:
        print(f"SKIPPED {name}: {reason}", flush=True)
        return "skipped"
    except Exception:
        traceback.print_exc(file=sys.stdout)
        return "failed"
    good, seconds = verdicts.conditions - verdicts.failures, time.monotonic() - started
    print(f"  {good} of {verdicts.conditions}, {seconds:.1f} s", flush=True)
    return "passed" if good == verdicts.conditions > 0 else "failed"


def main():
    executable, folder = (pathlib.Path(argument).resolve() for argument in sys.argv[1:3])
    wanted = set(sys.argv[3:])
    if unknown := wanted - {name for _, names in KINDS.values() for name in names}:
        sys.exit(f"there is no {', '.join(sorted(unknown))}")
    folder.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that children are ended
    results = [
        [put_to_the_test(kind, play, name, executable, folder) for name in names if name in wanted or not wanted]
        for kind, (play, names) in KINDS.items()
    ]
    everything = sum(results, [])
    print(", ".join(f"{everything.count(result)} {result}" for result in ("passed", "failed", "skipped")))
    sys.exit("failed" in everything or any(part and "passed" not in part for part in results))


main()
