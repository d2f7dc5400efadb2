#!/usr/bin/env bash
# Guess: a client that minds a token's expires_in fetches the next one when that time is over, before it sends a
#   request, and by then it knows the token endpoint. Of a token that it has stored, it knows the end.
# Software: PyPI mcp==2.3.0 (Python SDK of the Model Context Protocol) with httpx2==2.16.2, its
#   ClientCredentialsOAuthProvider.
# Behaviour: when the time is over it sends the request without a token, body and all, waits for the 401, reads the
#   metadata of the API and of its OAuth server once more, fetches a token and sends the request again: five requests,
#   each time. The end is kept in memory alone: a new provider takes a stored token for good, however old it is, and
#   learns otherwise from the 401.
# Seen, of tokens that live for 2 seconds:
#   first request           POST /mcp without a token, GET metadata of the API, GET metadata of the server, POST /token,
#                           POST /mcp with token 1
#   at once                 POST /mcp with token 1
#   after 3 s               the same five, with token 2
#   after 3 s more, by a    the same five, with the ended token 2 in the first of them, and token 3
#   new provider
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
if ! { python3 -m venv "$folder/venv" && timeout 300 "$folder/venv/bin/pip" install --quiet \
  --disable-pip-version-check mcp==2.3.0 httpx2==2.16.2; } > "$folder/log" 2>&1; then
  cat "$folder/log" >&2
  echo "NOT RUN: mcp==2.3.0 could not be installed" >&2
  exit 75
fi

NO_PROXY='*' timeout 60 "$folder/venv/bin/python" - << 'PYTHON'
import asyncio
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version

import httpx2
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider

LIFE = 2
received = []
ends = {}


class Servers(BaseHTTPRequestHandler):
    """An API at /mcp, its OAuth server, and the metadata of both."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        received.append(f"GET {self.path}")
        if self.path == "/.well-known/oauth-protected-resource/mcp":
            self.answer(200, {"resource": f"{base}/mcp", "authorization_servers": [base]})
        elif self.path == "/.well-known/oauth-authorization-server":
            self.answer(200, {
                "issuer": base, "token_endpoint": f"{base}/token", "authorization_endpoint": f"{base}/authorize",
                "response_types_supported": ["code"], "grant_types_supported": ["client_credentials"],
                "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            })
        else:
            self.answer(404, {})

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/token":
            token = f"{len(ends) + 1}"
            ends[token] = time.monotonic() + LIFE
            received.append("POST /token")
            self.answer(200, {"access_token": token, "token_type": "Bearer", "expires_in": LIFE})
            return
        token = (self.headers["Authorization"] or "").removeprefix("Bearer ")
        received.append(f"POST {self.path} with {token or 'no token'}")
        if time.monotonic() < ends.get(token, 0):
            self.answer(200, {})
        else:
            metadata = f"{base}/.well-known/oauth-protected-resource/mcp"
            self.answer(401, {}, {"WWW-Authenticate": f'Bearer resource_metadata="{metadata}"'})

    def answer(self, status, members, fields={}):
        body = json.dumps(members).encode()
        self.send_response(status)
        for name, value in {**fields, "Content-Type": "application/json", "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Servers)
threading.Thread(target=server.serve_forever, daemon=True).start()
base = f"http://127.0.0.1:{server.server_port}"


class Storage:
    tokens = client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client):
        self.client = client


storage = Storage()


def provider():
    return ClientCredentialsOAuthProvider(
        server_url=f"{base}/mcp", storage=storage, client_id="client", client_secret="secret", issuer=base)


DISCOVERY = ["GET /.well-known/oauth-protected-resource/mcp", "GET /.well-known/oauth-authorization-server"]


def fetch(refused, token):
    return [f"POST /mcp with {refused}", *DISCOVERY, "POST /token", f"POST /mcp with {token}"]


async def main():
    changed = False
    first = provider()
    # when, with which provider, the requests
    for title, wait, auth, expected in [
        ("first request", 0, first, fetch("no token", "1")),
        ("at once", 0, first, ["POST /mcp with 1"]),
        ("after 3 s", LIFE + 1, first, fetch("no token", "2")),
        ("after 3 s, a new provider", LIFE + 1, provider(), fetch("2", "3")),
    ]:
        await asyncio.sleep(wait)
        received.clear()
        async with httpx2.AsyncClient(auth=auth, timeout=10) as client:
            response = await client.post(f"{base}/mcp", content=b"{}")
        print(f"{title} ({response.status_code}):", "; ".join(received))
        changed |= received != expected or response.status_code != 200
    return changed


print(f"mcp {version('mcp')}, httpx2 {version('httpx2')}")
if asyncio.run(main()):
    sys.exit("CHANGED: not as the head of this script has it")
PYTHON
