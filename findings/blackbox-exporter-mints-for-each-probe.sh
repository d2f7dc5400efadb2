#!/usr/bin/env bash
# Guess: a probe of the blackbox exporter with `oauth2` uses a token for as long as it lives, as Prometheus itself does
#   with the same block of settings; and where the token endpoint is slow or away, the probe's metrics tell.
# Software: Debian's prometheus-blackbox-exporter 0.23.0-4+b4, unpacked, not installed.
# Behaviour: each probe fetches a token, whatever its expires_in: a target that is probed each 15 seconds costs 5,760
#   tokens a day. The time that it takes is in none of probe_http_duration_seconds' phases, only in
#   probe_duration_seconds. Where no token is had, the answer is that of a target that cannot be reached: probe_success
#   0 and probe_http_status_code 0, and the token endpoint has been asked twice.
# Seen, of tokens that live for a day:
#   token endpoint        probes   token requests   API requests   status   all phases   whole probe
#   answers at once       5        5                5              200      0.0 s        0.0 s
#   answers after 1 s     1        1                1              200      0.0 s        1.0 s
#   503                   1        2                0              0        0.0 s        0.0 s
# Needs: apt-get with the lists of Debian 12, on x86-64.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
if ! { timeout 300 apt-get -o APT::Sandbox::User=root download -q prometheus-blackbox-exporter=0.23.0-4+b4 &&
  dpkg-deb -x prometheus-blackbox-exporter_*.deb root; } > log 2>&1; then
  cat log >&2
  echo "NOT RUN: prometheus-blackbox-exporter 0.23.0-4+b4 could not be had" >&2
  exit 75
fi

NO_PROXY='*' timeout 60 python3 - << 'PYTHON'
import json
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.request import urlopen

EXPORTER = "root/usr/bin/prometheus-blackbox-exporter"
# token endpoint; probes, token requests, API requests, status, seconds of all phases, seconds of a whole probe
table = {
    "at-once": (5, 5, 5, 200, 0, 0),
    "slow": (1, 1, 1, 200, 0, 1),
    "unavailable": (1, 2, 0, 0, 0, 0),
}
received = []


class Servers(BaseHTTPRequestHandler):
    """The token endpoints, POST /NAME, and the API that is probed."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        received.append("GET")
        self.answer(200 if self.headers["Authorization"] == "Bearer token" else 401, {})

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        received.append("POST")
        if self.path == "/slow":
            time.sleep(1)
        if self.path == "/unavailable":
            self.answer(503, {"error": "temporarily_unavailable"})
        else:
            self.answer(200, {"access_token": "token", "token_type": "Bearer", "expires_in": 86400})

    def answer(self, status, members):
        body = json.dumps(members).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Servers)
threading.Thread(target=server.serve_forever, daemon=True).start()
base = f"http://127.0.0.1:{server.server_port}"


def module(name):
    oauth2 = {"client_id": "client", "client_secret": "secret", "token_url": f"{base}/{name}"}
    return {"prober": "http", "timeout": "5s", "http": {"preferred_ip_protocol": "ip4", "oauth2": oauth2}}


def probe(name):
    """The metrics of one probe by their names; the phases added up."""
    metrics = {}
    with urlopen(f"http://127.0.0.1:{port}/probe?module={name}&target={base}/api", timeout=10) as response:
        for line in response.read().decode().splitlines():
            if not line.startswith("#"):
                metric, value = line.rsplit(" ", 1)
                metric = metric.split("{")[0]
                metrics[metric] = metrics.get(metric, 0) + float(value)
    return metrics


Path("blackbox.yml").write_text(json.dumps({"modules": {name: module(name) for name in table}}))
print(subprocess.run([EXPORTER, "--version"], capture_output=True, text=True).stdout.split(" (")[0])
with socket.create_server(("127.0.0.1", 0)) as unused:
    port = unused.getsockname()[1]
command = [EXPORTER, "--config.file=blackbox.yml", f"--web.listen-address=127.0.0.1:{port}"]
changed = False
with open("exporter.log", "w") as log:
    exporter = subprocess.Popen(command, stdout=log, stderr=log)
try:
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                sys.exit(f"the exporter does not start: {Path('exporter.log').read_text()}")
            time.sleep(0.1)
    for name, (probes, *expected) in table.items():
        received.clear()
        for _ in range(probes):
            metrics = probe(name)
        seen = [
            received.count("POST"), received.count("GET"), int(metrics["probe_http_status_code"]),
            round(metrics["probe_http_duration_seconds"], 1), round(metrics["probe_duration_seconds"], 1),
        ]
        print(f"{name:11} {probes} probe(s): {seen[0]} token request(s), {seen[1]} API request(s), status {seen[2]},",
              f"phases {seen[3]} s, probe {seen[4]} s, probe_success {metrics['probe_success']:.0f}")
        changed |= seen[:3] != expected[:3] or metrics["probe_success"] != (seen[2] == 200)
        changed |= any(abs(had - wanted) > 0.5 for had, wanted in zip(seen[3:], expected[3:]))
finally:
    exporter.terminate()
    try:
        exporter.wait(10)
    except subprocess.TimeoutExpired:
        exporter.kill()
        exporter.wait()
if changed:
    sys.exit("CHANGED: not as the head of this script has it")
PYTHON
