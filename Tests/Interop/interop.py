"""Puts the broker's binary before OAuth servers, and behind clients, that nobody here wrote, all on loopback.

Usage: interop.py BROKER FOLDER [NAME]...

FOLDER is where they are installed. One that is not to be had is skipped, and that is said. The end status is 1 if the
broker or another program did anything that is not expected, and if none could be had at all.
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
from packages import Skipped

# How each folder's modules are put to the test, and which there are.
KINDS = {
    "servers": (harness.play, [
        "openbao", "openbao_eddsa", "glewlwyd", "canaille", "django_oauth_toolkit", "authlib",
    ]),
    "clients": (client_harness.play, clients.NAMES),
}


def put_to_the_test(kind, name, executable, folder):
    """One of `passed`, `failed` and `skipped`."""
    module = importlib.import_module(f"{kind}.{name}")
    print(f"{module.NAME}", flush=True)
    started = time.monotonic()
    try:
        with tempfile.TemporaryDirectory() as temporary:
            failures = KINDS[kind][0](name, module, executable, folder, pathlib.Path(temporary))
    except Skipped as reason:
        print(f"SKIPPED {name}: {reason}", flush=True)
        return "skipped"
    except Exception:
        traceback.print_exc(file=sys.stdout)
        return "failed"
    print(f"  {time.monotonic() - started:.1f} s", flush=True)
    return "failed" if failures else "passed"


def main():
    executable, folder = (pathlib.Path(argument).resolve() for argument in sys.argv[1:3])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that children are ended
    results = [
        put_to_the_test(kind, name, executable, folder)
        for kind, (_, names) in KINDS.items() for name in names if name in sys.argv[3:] or not sys.argv[3:]
    ]
    counts = [f"{results.count(result)} {result}" for result in ("passed", "failed", "skipped")]
    print(", ".join(counts))
    sys.exit(0 if "passed" in results and "failed" not in results else 1)


main()
