#!/usr/bin/env bash
# Guess: PyIceberg's two ways to the client credentials grant differ in how they are written down. A catalog fetches
#   one token; after a 401 it fetches another and asks again; a client proves itself to the token endpoint by its secret
#   alone.
# Software: PyPI pyiceberg==0.12.0, its REST catalog with `credential` (older) and with `auth: {type: oauth2}` (newer).
# Behaviour: a catalog begins with two tokens, one for /v1/config alone. After a 401 both ask the catalog again, but
#   only the older one with another token. The newer one sends the refused token once more and raises, and so does the
#   next call, until the token is in its last minute. The older one fetches its next token with the refused one as
#   Authorization, beside client_id and client_secret in the form, where RFC 6749, section 2.3, allows one method. Where
#   no scope is configured, or an empty one, the older way asks for `catalog`; the newer asks for none.
# Seen, of a catalog that refuses the second token after a while:
#             token requests at first   after the 401: token requests   to the catalog    outcome
#   older     2, scope=catalog          1, Authorization: Bearer t2     t2, then t3       a list
#             with scope "": the same
#   newer     2, no scope               0                               t2, then t2       UnauthorizedError
#             its next call: 0 token requests, t2 and t2 to the catalog, UnauthorizedError
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
if ! { python3 -m venv "$folder/venv" && timeout 300 "$folder/venv/bin/pip" install --quiet \
  --disable-pip-version-check pyiceberg==0.12.0; } > "$folder/log" 2>&1; then
  cat "$folder/log" >&2
  echo "NOT RUN: pyiceberg==0.12.0 could not be installed" >&2
  exit 75
fi

cd "$folder"
NO_PROXY='*' HOME="$folder" timeout 60 venv/bin/python -W ignore - << 'PYTHON'
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from urllib.parse import parse_qs

from pyiceberg.catalog.rest import RestCatalog

token_requests = []
catalog_requests = []
refused = set()


class Server(BaseHTTPRequestHandler):
    """The token endpoint, POST, and the catalog, GET."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        given = (self.headers["Authorization"] or "").partition(" ")
        proofs = [given[0] + (f" {given[2]}" if given[0] == "Bearer" else "")] if given[0] else []
        proofs += ["form"] if "client_secret" in form else []
        token_requests.append((proofs, form.get("scope")))
        self.answer(200, {"access_token": f"t{len(token_requests)}", "token_type": "Bearer", "expires_in": 3600})

    def do_GET(self):
        token = (self.headers["Authorization"] or "").removeprefix("Bearer ")
        catalog_requests.append(token)
        if token in refused:
            self.answer(401, {"error": {"message": "refused", "type": "NotAuthorizedException", "code": 401}})
        elif self.path.startswith("/v1/config"):
            self.answer(200, {"defaults": {}, "overrides": {}})
        else:
            self.answer(200, {"namespaces": []})

    def answer(self, status, members):
        body = json.dumps(members).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
base = f"http://127.0.0.1:{server.server_port}"

ways = {
    "older": {"credential": "client:secret", "oauth2-server-uri": f"{base}/token"},
    "empty": {"credential": "client:secret", "oauth2-server-uri": f"{base}/token", "scope": ""},
    "newer": {"auth": {"type": "oauth2", "oauth2": {
        "client_id": "client", "client_secret": "secret", "token_url": f"{base}/token"}}},
}
# token requests at first and after the 401, as proofs and scope; tokens that the catalog sees then, by the newer way in
# two calls; outcome
table = {
    "older": ([(["form"], ["catalog"])] * 2, [(["Bearer t2", "form"], ["catalog"])], ["t2", "t3"], "list"),
    "empty": ([(["form"], ["catalog"])] * 2, [(["Bearer t2", "form"], ["catalog"])], ["t2", "t3"], "list"),
    "newer": ([(["Basic"], None)] * 2, [], ["t2"] * 4, "UnauthorizedError"),
}
print(f"pyiceberg {version('pyiceberg')}")
changed = False
for name, settings in ways.items():
    token_requests.clear()
    refused.clear()
    catalog = RestCatalog("catalog", uri=base, **settings)
    catalog.list_namespaces()
    at_first = token_requests.copy()
    refused.add("t2")
    catalog_requests.clear()
    for _ in range(2 if name == "newer" else 1):
        try:
            outcome = type(catalog.list_namespaces()).__name__
        except Exception as error:
            outcome = type(error).__name__
    seen = at_first, token_requests[len(at_first):], catalog_requests, outcome
    print(f"{name}: at first {seen[0]}")
    print(f"{name}: after the 401 {seen[1]}; to the catalog {', '.join(seen[2])}; {outcome}")
    changed |= seen != table[name]
if changed:
    sys.exit("CHANGED: not as the head of this script has it")
PYTHON
