"""Puts reverse proxies that nobody here wrote before an application, with a token of the broker's, and before the broker.

Usage: proxies.py BROKER FOLDER [NAME]...

FOLDER is where they are installed. What is in deploy/proxies is taken as it stands, with its addresses and its key
replaced. A proxy that is not to be had is skipped, and that is said. The end status is 1 if anything was not as it is
expected, and if no proxy could be had at all.
"""

import importlib
import pathlib
import signal
import sys
import tempfile
import time
import traceback

from packages import Skipped
from proxy_harness import Trial, forward, restart, slashes

PROXIES = ["nginx", "caddy", "traefik", "envoy", "haproxy", "apache", "varnish"]
SNIPPETS = pathlib.Path(__file__).parents[2] / "deploy/proxies"


def put_to_the_test(name, executable, folder):
    """One of `passed`, `failed` and `skipped`."""
    module = importlib.import_module(f"reverse_proxies.{name}")
    print(module.NAME, flush=True)
    started, trial = time.monotonic(), Trial()
    parts = [
        lambda place: forward(module, executable, folder, place, SNIPPETS, trial),
        lambda place: slashes(module, executable, folder, place, trial),
    ]
    if module.RESTARTS:
        parts.append(lambda place: restart(module, executable, folder, place, trial))
    try:
        for part in parts:
            with tempfile.TemporaryDirectory() as temporary:
                place = pathlib.Path(temporary)
                place.chmod(0o755)  # for a proxy that gives root up
                part(place)
    except Skipped as reason:
        print(f"SKIPPED {name}: {reason}", flush=True)
        return "skipped"
    except Exception:
        traceback.print_exc(file=sys.stdout)
        return "failed"
    print(f"  {trial.conditions - trial.failures} of {trial.conditions}, {time.monotonic() - started:.1f} s", flush=True)
    return "failed" if trial.failures else "passed"


def main():
    executable, folder = (pathlib.Path(argument).resolve() for argument in sys.argv[1:3])
    folder.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that children are ended
    results = [put_to_the_test(name, executable, folder) for name in sys.argv[3:] or PROXIES]
    print(", ".join(f"{results.count(result)} {result}" for result in ("passed", "failed", "skipped")))
    sys.exit(0 if "passed" in results and "failed" not in results else 1)


main()
