#!/usr/bin/env bash
# Guess: HTTPAdapter(max_retries=2) of requests tries again when no connection could be made, and never once the server
#   has had the request. Its documentation says so in these terms. `timeout=` bounds a call all the same.
# Software: PyPI requests==2.34.2 with urllib3==2.8.0.
# Behaviour: the number becomes a urllib3 Retry(2), which repeats a GET that the server has read and answered, if the
#   answer is a 413, 429 or 503 with Retry-After (which it sleeps for, whatever `timeout` says), and a GET that was read
#   and then timed out or got no answer. Without Retry-After a 503 is handed over at once. A POST is never repeated.
# Seen:
#   GET  503, Retry-After: 1     3 requests, 2.0 s: status 503
#   GET  429, Retry-After: 1     3 requests, 2.0 s: status 429
#   GET  413, Retry-After: 1     3 requests, 2.0 s: status 413
#   GET  503                     1 request,  0.0 s: status 503
#   GET  closed when read        3 requests, 0.0 s: ConnectionError
#   GET  answered after 1.5 s    3 requests, 1.5 s: ConnectionError
#   POST 503, Retry-After: 1     1 request,  0.0 s: status 503
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
if ! { python3 -m venv "$folder/venv" && timeout 300 "$folder/venv/bin/pip" install --quiet \
  --disable-pip-version-check requests==2.34.2 urllib3==2.8.0; } > "$folder/log" 2>&1; then
  cat "$folder/log" >&2
  echo "NOT RUN: requests==2.34.2 and urllib3==2.8.0 could not be installed" >&2
  exit 75
fi

NO_PROXY='*' timeout 60 "$folder/venv/bin/python" - << 'PYTHON'
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests
from requests.adapters import HTTPAdapter

TIMEOUT = 0.5
received = []


class Server(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        received.append(self.command)
        kind = self.path.removeprefix("/")
        if kind == "closed":
            self.close_connection = True
            return
        if kind == "late":
            time.sleep(3 * TIMEOUT)
        status, _, retry_after = kind.partition("-")
        self.send_response(int(status) if status.isdigit() else 200)
        if retry_after:
            self.send_header("Retry-After", retry_after)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = do_GET

    def log_message(self, *arguments):
        pass

    def handle(self):
        try:
            super().handle()
        except ConnectionError:
            pass  # a client that has given up on a late answer


server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()

print(f"requests {requests.__version__}, urllib3 {requests.packages.urllib3.__version__}")
print("max_retries is documented as:", " ".join(HTTPAdapter.__doc__.split("max_retries:")[1].split())[:190], "…")

# method, what the server does, requests and seconds that are expected, outcome
table = [
    ("GET", "503-1", 3, 2, "status 503"),
    ("GET", "429-1", 3, 2, "status 429"),
    ("GET", "413-1", 3, 2, "status 413"),
    ("GET", "503", 1, 0, "status 503"),
    ("GET", "closed", 3, 0, "ConnectionError"),
    ("GET", "late", 3, 3 * TIMEOUT, "ConnectionError"),
    ("POST", "503-1", 1, 0, "status 503"),
]
changed = False
for method, kind, requests_expected, seconds_expected, outcome_expected in table:
    session = requests.Session()
    session.mount("http://", HTTPAdapter(max_retries=2))
    received.clear()
    began = time.monotonic()
    try:
        response = session.request(method, f"http://127.0.0.1:{server.server_port}/{kind}", timeout=TIMEOUT)
        outcome = f"status {response.status_code}"
    except requests.RequestException as error:
        outcome = type(error).__name__
    seconds = time.monotonic() - began
    print(f"{method:4} {kind:7} {len(received)} request(s), {seconds:.1f} s: {outcome}")
    as_before = len(received) == requests_expected and outcome == outcome_expected
    changed |= not as_before or abs(seconds - seconds_expected) > 0.9
if changed:
    sys.exit("CHANGED: not as the head of this script has it")
PYTHON
