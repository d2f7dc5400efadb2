#!/usr/bin/env bash
# Guess: an OAuth client does not look into an access token. librdkafka's `sasl.oauthbearer.method=oidc` takes any token
#   that the token endpoint gives it, for as long as expires_in says, and sends its form encoded, as forms are.
# Software: PyPI confluent-kafka==2.16.1 (librdkafka 2.16.0).
# Behaviour: it reads the token as a JWT, and takes none that is opaque or has no `sub`, though RFC 6749 asks for
#   neither. expires_in is not looked at: another token is fetched when four fifths of the time to its `exp` are over.
#   The scope goes out as it is written, with its spaces and without an encoding, so that a plus sign arrives as a space
#   and `%25` as a percent sign.
# Seen, in the first 9 seconds, of tokens whose exp is an hour away and expires_in 3600 where nothing else is said:
#   token                  token requests   what the application is told
#   all as said            1
#   expires_in: 1          1
#   exp in 5 s             3
#   without expires_in     1
#   opaque                 1                _AUTHENTICATION: Failed to decode JWT payload
#   without sub            1                _AUTHENTICATION: Expected JSON JWT response with "sub" field
#   body, of scope `read:a+b read:100%25`: grant_type=client_credentials&scope=read:a+b read:100%25
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
if ! { python3 -m venv "$folder/venv" && timeout 300 "$folder/venv/bin/pip" install --quiet \
  --disable-pip-version-check confluent-kafka==2.16.1; } > "$folder/log" 2>&1; then
  cat "$folder/log" >&2
  echo "NOT RUN: confluent-kafka==2.16.1 could not be installed" >&2
  exit 75
fi

NO_PROXY='*' timeout 60 "$folder/venv/bin/python" - << 'PYTHON'
import base64
import json
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import confluent_kafka
from confluent_kafka import KafkaError, Producer

SCOPE = "read:a+b read:100%25"
BODY = f"grant_type=client_credentials&scope={SCOPE}"
received = {}


def token(**claims):
    """A JWT of these claims; librdkafka does not verify it, and neither does anybody else here."""
    now = int(time.time())
    claims = {"sub": "client", "iat": now, "exp": now + 3600, **claims}
    parts = {"alg": "RS256", "typ": "JWT"}, {name: value for name, value in claims.items() if value is not None}
    segments = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*segments, "c2lnbmF0dXJl"])


def answer(access_token, **members):
    return {"access_token": access_token, "token_type": "Bearer", **members}


# what the token endpoint answers; fewest and most token requests; what the application is told
table = {
    "as-said": (lambda: answer(token(), expires_in=3600), 1, 1, None),
    "expires-in-1": (lambda: answer(token(), expires_in=1), 1, 1, None),
    "exp-in-5-s": (lambda: answer(token(exp=int(time.time()) + 5), expires_in=3600), 2, 4, None),
    "without-expires-in": (lambda: answer(token()), 1, 1, None),
    "opaque": (lambda: answer("opaque", expires_in=3600), 1, 1, "Failed to decode JWT payload"),
    "without-sub": (lambda: answer(token(sub=None), expires_in=3600), 1, 1, 'Expected JSON JWT response with "sub"'),
}


class Server(BaseHTTPRequestHandler):
    """A token endpoint, POST /NAME, for each row of the table."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        name = self.path.removeprefix("/")
        received.setdefault(name, []).append(self.rfile.read(int(self.headers["Content-Length"])).decode())
        body = json.dumps(table[name][0]()).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
# A Kafka server that says nothing: the tokens are fetched without it.
kafka = socket.create_server(("127.0.0.1", 0))
errors = {name: [] for name in table}


def producer(name):
    def remember(error):
        if error.code() == KafkaError._AUTHENTICATION:
            errors[name].append(error.str())

    return Producer({
        "bootstrap.servers": f"127.0.0.1:{kafka.getsockname()[1]}", "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanisms": "OAUTHBEARER", "sasl.oauthbearer.method": "oidc", "sasl.oauthbearer.scope": SCOPE,
        "sasl.oauthbearer.client.id": "client", "sasl.oauthbearer.client.secret": "secret", "log_level": 0,
        "sasl.oauthbearer.token.endpoint.url": f"http://127.0.0.1:{server.server_port}/{name}", "error_cb": remember,
    })


print(f"confluent-kafka {confluent_kafka.__version__}, librdkafka {confluent_kafka.libversion()[0]}")
producers = [producer(name) for name in table]
until = time.monotonic() + 9
while time.monotonic() < until:
    for client in producers:
        client.poll(0)
    time.sleep(0.1)
changed = False
for name, (_, fewest, most, error) in table.items():
    bodies = received.get(name, [])
    print(f"{name:18} {len(bodies)} token request(s)", *errors[name][:1])
    changed |= not fewest <= len(bodies) <= most or set(bodies) != {BODY}
    changed |= (error is None) != (not errors[name]) or any(error not in told for told in errors[name])
print("body:", received["as-said"][0])
if changed:
    sys.exit("CHANGED: not as the head of this script has it")
PYTHON
