#!/usr/bin/env bash
# Guess: OAuth2ClientCredentials(early_expiry=0) uses a token until it ends. Its documentation says so: "Set it to 0 to
#   deactivate this feature and use the same token until actual expiry". And a smaller number means fewer fetches.
# Software: PyPI httpx-auth==0.23.1 with httpx==0.28.1.
# Behaviour: 0 is taken for "not given" and becomes 30 seconds. Where tokens live for 30 seconds or less (or what is
#   left of one that somebody has cached), each request to the API fetches one, as without the setting; 1e-9 does what
#   0 is documented to do.
# Seen, for three requests to an API, of a token endpoint whose tokens live for 20 seconds:
#   without early_expiry    3 token requests
#   early_expiry=0          3 token requests
#   early_expiry=1          1 token request
#   early_expiry=1e-9       1 token request
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
if ! { python3 -m venv "$folder/venv" && timeout 300 "$folder/venv/bin/pip" install --quiet \
  --disable-pip-version-check httpx-auth==0.23.1 httpx==0.28.1; } > "$folder/log" 2>&1; then
  cat "$folder/log" >&2
  echo "NOT RUN: httpx-auth==0.23.1 could not be installed" >&2
  exit 75
fi

NO_PROXY='*' timeout 60 "$folder/venv/bin/python" - << 'PYTHON'
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version

import httpx
from httpx_auth import OAuth2ClientCredentials

received = []


class Server(BaseHTTPRequestHandler):
    """The token endpoint, POST, and the API, GET."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.answer({})

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        received.append(self.path)
        self.answer({"access_token": f"token {len(received)}", "token_type": "Bearer", "expires_in": 20})

    def answer(self, members):
        body = json.dumps(members).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
base = f"http://127.0.0.1:{server.server_port}"

print(f"httpx-auth {version('httpx-auth')}, httpx {httpx.__version__}")
text = " ".join(OAuth2ClientCredentials.__init__.__doc__.split("early_expiry:")[1].split(":param")[0].split())
print("early_expiry is documented as:", text)
changed = False
for settings, expected in [({}, 3), ({"early_expiry": 0}, 3), ({"early_expiry": 1}, 1), ({"early_expiry": 1e-9}, 1)]:
    received.clear()
    # A client id of its own, since all objects share one cache.
    auth = OAuth2ClientCredentials(f"{base}/token", f"client {settings}", "secret", **settings)
    for _ in range(3):
        httpx.get(f"{base}/api", auth=auth)
    print(f"{settings}: {len(received)} token request(s)")
    changed |= len(received) != expected
if changed:
    sys.exit("CHANGED: not as the head of this script has it")
PYTHON
