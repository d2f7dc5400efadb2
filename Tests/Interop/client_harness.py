"""The broker, with callers of its own, as clients that others wrote see it."""

import hashlib
import json
import os
import pathlib
import subprocess

from harness import Broker
from packages import LISTS, install, require, run

API, LEDGER = "https://api.example.com/", "https://ledger.example.com/"
# The development tenant always answers 503 for it.
AWAY = "https://temporarily-unavailable.fault.example.com/"
KEY = "tb_k+y/with%characters"  # that mean something in forms and URLs
BILLING = {"caller": "billing", "key": KEY, "audience": API, "scope": "read:a"}
CASES = {
    "token": BILLING,
    "wrong key": {**BILLING, "key": "tb_wrong"},
    "refused": {**BILLING, "audience": LEDGER, "scope": "write:a"},
    "busy": {**BILLING, "caller": "busy", "key": f"{KEY}-busy"},
    "away": {**BILLING, "caller": "away", "key": f"{KEY}-away", "audience": AWAY},
}
CALLERS = {
    "billing": {"audiences": [API, "https://reports.example.com/"], "defaultAudience": API, "scopes": ["read:a"]},
    # One in ten seconds, after the first six.
    "busy": {"audiences": [API], "requestsPerMinute": 6},
    "away": {"audiences": [AWAY]},
}


class CallersBroker(Broker):
    """The binary with its development tenant, by HTTP and by HTTPS."""

    def __init__(self, executable, place):
        self.certificate, private_key = place / "certificate.pem", place / "key.pem"
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
            "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-addext",
            "keyUsage=critical,digitalSignature,keyCertSign", "-keyout", private_key, "-out", self.certificate)
        keys = {case["caller"]: case["key"] for name, case in CASES.items() if name != "wrong key"}
        digests = {caller: hashlib.sha256(key.encode()).hexdigest() for caller, key in keys.items()}
        configuration = {
            "tls": {"certificateFile": str(self.certificate), "keyFile": str(private_key)},
            "callers": {name: {"bearerSHA256": [digests[name]], **caller} for name, caller in CALLERS.items()},
        }
        super().__init__(executable, place, json.dumps(configuration))
        self.command[1] = "dev"
        self.environment["BROKER_LISTEN"] = "127.0.0.1:0,https://127.0.0.1:0"

    def start(self):
        super().start()
        http, https = self.url.removeprefix("http://").split()
        # A host name, since some clients take no certificate for an address.
        self.http, self.https = (
            f"{scheme}://localhost:{address.rpartition(':')[2]}"
            for scheme, address in (("http", http), ("https", https)))


def play(name, client, executable, folder, place, verdicts):
    """Plays a client's cases."""
    if hasattr(client, "REQUIRES"):
        require(*client.REQUIRES)
    is_listed = (LISTS / f"clients/{name}.txt").exists()
    python = install(f"clients/{name}", folder) / "bin/python" if is_listed else "/usr/bin/python3"
    prepared = folder / f"clients/{name}-program"
    if hasattr(client, "prepare"):
        prepared.mkdir(parents=True, exist_ok=True)
        client.prepare(prepared)
    with CallersBroker(executable, place) as broker:
        seen = cases(python, name, broker, prepared)
    for case, expected in client.EXPECTED.items():
        verdicts.expect(case, expected, tuple(seen[case]))


def cases(python, name, broker, prepared):
    """What the user of the client sees in each case, and the statuses of the broker's answers."""
    facts = {"http": broker.http, "https": broker.https, "admin": broker.admin_url, "cases": CASES}
    settings = {
        "PATH": os.environ["PATH"], "HOME": str(broker.place), "PREPARED": str(prepared), "NO_PROXY": "*",
        "REQUESTS_CA_BUNDLE": str(broker.certificate), "SSL_CERT_FILE": str(broker.certificate),
    }
    command = [python, pathlib.Path(__file__).parent / "client_process.py", name, json.dumps(facts)]
    result = subprocess.run(
        command, env=settings, cwd=broker.place, capture_output=True, text=True, timeout=180)
    if result.returncode:
        raise RuntimeError(f"{result.stderr}\n{broker.tail()}")
    return json.loads(result.stdout)
