#!/usr/bin/env bash
# Guess: a call of MSAL's acquire_token_for_client that finds no token in the cache asks the server. After one 503 the
#   next call succeeds as soon as the server does, and so does the next call after a 400 whose cause has been mended.
# Software: PyPI msal==1.39.0 with requests==2.34.2, on an OpenID Connect authority of its own (oidc_authority).
# Behaviour: MSAL remembers error answers and gives them again without a request: a 429 or any 5xx, by endpoint, client
#   and scope, for 5 seconds or for its Retry-After (an hour at most); a 400, by the whole form, for 60 seconds. A 401
#   is not remembered. Nothing tells the caller that an answer is an old one. Another scope is asked for at once.
# Seen, of a server that fails once and then gives tokens:
#   503                    after 1 s: 0 requests, MsalServiceError   after 7 s: 1 request, a token
#   503, Retry-After: 30   after 1 s: 0 requests, MsalServiceError   after 7 s: 0 requests, MsalServiceError
#   429                    after 1 s: 0 requests, slow_down          after 7 s: 1 request, a token
#   400                    after 1 s: 0 requests, invalid_scope      after 7 s: 0 requests, invalid_scope
#   401                    after 1 s: 1 request, a token             after 7 s: 0 requests, a token
# Needs: openssl, for the certificate, since MSAL takes no authority over plain HTTP.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
if ! { python3 -m venv "$folder/venv" && timeout 300 "$folder/venv/bin/pip" install --quiet \
  --disable-pip-version-check msal==1.39.0 requests==2.34.2; } > "$folder/log" 2>&1; then
  cat "$folder/log" >&2
  echo "NOT RUN: msal==1.39.0 could not be installed" >&2
  exit 75
fi
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost \
  -addext subjectAltName=DNS:localhost -keyout "$folder/key.pem" -out "$folder/certificate.pem" 2> /dev/null

cd "$folder"
NO_PROXY='*' REQUESTS_CA_BUNDLE="$folder/certificate.pem" timeout 60 venv/bin/python - << 'PYTHON'
import json
import ssl
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msal

TOKEN = {"access_token": "token", "token_type": "Bearer", "expires_in": 86400}
# the one failure: status, fields, error; then requests and outcome after 1 s and after 7 s
table = {
    "503": (503, {}, "temporarily_unavailable", (0, "MsalServiceError"), (1, "a token")),
    "503-30": (503, {"Retry-After": "30"}, "temporarily_unavailable", (0, "MsalServiceError"), (0, "MsalServiceError")),
    "429": (429, {}, "slow_down", (0, "slow_down"), (1, "a token")),
    "400": (400, {}, "invalid_scope", (0, "invalid_scope"), (0, "invalid_scope")),
    "401": (401, {}, "invalid_client", (1, "a token"), (0, "a token")),
}
received = {name: 0 for name in table}


class Tenants(BaseHTTPRequestHandler):
    """One tenant, /NAME, for each row of the table. Its token endpoint fails once."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        issuer = f"{base}/{self.path.split('/')[1]}"
        self.answer(200, {}, {
            "issuer": issuer, "token_endpoint": f"{issuer}/token", "authorization_endpoint": f"{issuer}/authorize",
        })

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        name = self.path.split("/")[1]
        received[name] += 1
        status, fields, error, *_ = table[name]
        if received[name] == 1:
            self.answer(status, fields, {"error": error})
        else:
            self.answer(200, {}, TOKEN)

    def answer(self, status, fields, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        for name, text in {**fields, "Content-Type": "application/json", "Content-Length": str(len(body))}.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("certificate.pem", "key.pem")
server = ThreadingHTTPServer(("127.0.0.1", 0), Tenants)
server.socket = context.wrap_socket(server.socket, server_side=True)
base = f"https://localhost:{server.server_port}"
threading.Thread(target=server.serve_forever, daemon=True).start()


def ask(name, scope="api"):
    """The requests that one call made, and what came of it."""
    before = received[name]
    try:
        result = applications[name].acquire_token_for_client([scope])
        outcome = "a token" if "access_token" in result else result["error"]
    except Exception as error:
        outcome = type(error).__name__
    return received[name] - before, outcome


print(f"msal {msal.__version__}")
applications = {
    name: msal.ConfidentialClientApplication("client", client_credential="secret", oidc_authority=f"{base}/{name}")
    for name in table
}
for name in table:
    print(f"{name:6} at first:  %d request(s), %s" % ask(name))
changed = False
slept = 0
for seconds, column in ((1, 3), (7, 4)):
    time.sleep(seconds - slept)
    slept = seconds
    for name, row in table.items():
        seen = ask(name)
        print(f"{name:6} after {seconds} s: %d request(s), %s" % seen)
        changed |= seen != row[column]
seen = ask("400", scope="another")
print("400    another scope: %d request(s), %s" % seen)
if changed or seen != (1, "a token"):
    sys.exit("CHANGED: not as the head of this script has it")
PYTHON
