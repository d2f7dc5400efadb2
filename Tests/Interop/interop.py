"""Puts the broker's binary before OAuth servers that nobody here wrote, one after the other, all on loopback.

Usage: interop.py BROKER FOLDER [NAME]...

FOLDER is where servers are installed. A server that is not to be had is skipped, and that is said. The end status is 1
if the broker or a server did anything that is not expected, and if no server could be had at all.
"""

import importlib
import pathlib
import signal
import sys
import tempfile
import time
import traceback

from harness import Broker, Examination
from packages import Skipped

SERVERS = ["openbao", "openbao_eddsa", "glewlwyd", "canaille", "django_oauth_toolkit", "authlib"]


def put_to_the_test(name, executable, folder):
    """One of `passed`, `failed` and `skipped`."""
    server = importlib.import_module(f"servers.{name}")
    print(f"{server.NAME}", flush=True)
    started = time.monotonic()
    try:
        with tempfile.TemporaryDirectory() as temporary:
            place = pathlib.Path(temporary)
            with server.serve(folder, place) as tenant:
                configuration = tenant.configuration(server.EXPECTED.methods)
                with Broker(executable, place, configuration) as broker:
                    examination = Examination(server.EXPECTED, tenant, broker)
                    examination.play()
    except Skipped as reason:
        print(f"SKIPPED {name}: {reason}", flush=True)
        return "skipped"
    except Exception:
        traceback.print_exc(file=sys.stdout)
        return "failed"
    print(f"  {time.monotonic() - started:.1f} s", flush=True)
    return "failed" if examination.failures else "passed"


def main():
    executable, folder = (pathlib.Path(argument).resolve() for argument in sys.argv[1:3])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that children are ended
    results = [put_to_the_test(name, executable, folder) for name in sys.argv[3:] or SERVERS]
    counts = [f"{results.count(result)} {result}" for result in ("passed", "failed", "skipped")]
    print(", ".join(counts))
    sys.exit(0 if "passed" in results and "failed" not in results else 1)


main()
