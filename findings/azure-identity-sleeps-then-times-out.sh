#!/usr/bin/env bash
# Guess: ClientSecretCredential(timeout=2, retry_backoff_max=1) answers within some two seconds, with a token or an
#   error: `timeout` bounds an operation with its retries, `retry_backoff_max` each pause, whatever a server wishes.
# Software: PyPI azure-identity==1.27.0 with azure-core==1.41.0, msal==1.39.0 and requests==2.34.2.
# Behaviour: get_token sleeps in the caller's thread for as long as Retry-After says, beyond both settings and, by
#   default, three times over. `timeout` is looked at after the sleep: then it is over, and the call fails without the
#   second request that it has slept for. retry_total=0 fails at once. Without Retry-After both settings hold.
# Seen, of a token endpoint that answers 503 once and then gives tokens:
#   Retry-After: 6, no settings            2 requests, 6.1 s: a token
#   Retry-After: 6, retry_backoff_max=1    2 requests, 6.1 s: a token
#   Retry-After: 6, timeout=2              1 request,  6.0 s: Authentication failed: Response timeout
#   Retry-After: 6, retry_total=0          1 request,  0.0 s: Authentication failed: HTTP Error: 503
#   no Retry-After, timeout=2              2 requests, 0.1 s: a token
# Needs: openssl, for the certificate, since azure-identity takes no authority over plain HTTP.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
if ! { python3 -m venv "$folder/venv" && timeout 300 "$folder/venv/bin/pip" install --quiet \
  --disable-pip-version-check azure-identity==1.27.0 azure-core==1.41.0 msal==1.39.0 requests==2.34.2; \
  } > "$folder/log" 2>&1; then
  cat "$folder/log" >&2
  echo "NOT RUN: azure-identity==1.27.0 could not be installed" >&2
  exit 75
fi
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost \
  -addext subjectAltName=DNS:localhost -keyout "$folder/key.pem" -out "$folder/certificate.pem" 2> /dev/null

cd "$folder"
NO_PROXY='*' REQUESTS_CA_BUNDLE="$folder/certificate.pem" timeout 60 venv/bin/python - << 'PYTHON'
import json
import logging
import ssl
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version

from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ClientSecretCredential

logging.disable(logging.WARNING)
# a tenant: fields of its first answer; the credential's settings; then requests, seconds and outcome
table = {
    "no-settings": ({"Retry-After": "6"}, {}, 2, 6, "a token"),
    "backoff-max": ({"Retry-After": "6"}, {"retry_backoff_max": 1}, 2, 6, "a token"),
    "timeout": ({"Retry-After": "6"}, {"timeout": 2}, 1, 6, "Authentication failed: Response timeout"),
    "total-0": ({"Retry-After": "6"}, {"retry_total": 0}, 1, 0, "Authentication failed: HTTP Error: 503"),
    "no-field": ({}, {"timeout": 2}, 2, 0, "a token"),
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
        if received[name] == 1:
            self.answer(503, table[name][0], {"error": "temporarily_unavailable", "error_description": "later"})
        else:
            self.answer(200, {}, {"access_token": "token", "token_type": "Bearer", "expires_in": 86400})

    def answer(self, status, fields, members):
        body = json.dumps(members).encode()
        self.send_response(status)
        fields = {**fields, "Content-Type": "application/json", "Content-Length": str(len(body))}
        for field in fields.items():
            self.send_header(*field)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Tenants)
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain("certificate.pem", "key.pem")
server.socket = context.wrap_socket(server.socket, server_side=True)
base = f"https://localhost:{server.server_port}"
threading.Thread(target=server.serve_forever, daemon=True).start()

print(f"azure-identity {version('azure-identity')}, azure-core {version('azure-core')}")
changed = False
for name, (fields, settings, requests_expected, seconds_expected, outcome_expected) in table.items():
    credential = ClientSecretCredential(
        name, "client", "secret", authority=base, disable_instance_discovery=True, **settings)
    began = time.monotonic()
    try:
        outcome = f"a {credential.get_token('scope').token}"
    except ClientAuthenticationError as error:
        outcome = error.message
    seconds = time.monotonic() - began
    print(f"{fields}, {settings}: {received[name]} request(s), {seconds:.1f} s: {outcome}")
    as_before = received[name] == requests_expected and outcome == outcome_expected
    changed |= not as_before or abs(seconds - seconds_expected) > 1.5
if changed:
    sys.exit("CHANGED: not as the head of this script has it")
PYTHON
