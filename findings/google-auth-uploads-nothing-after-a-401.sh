#!/usr/bin/env bash
# Guess: AuthorizedSession of google-auth, which fetches a new token after a 401 and sends the request again, sends the
#   same body again; where it cannot, as with a file that has been read to its end, it raises or hands over the 401.
# Software: PyPI google-auth==2.63.0 with requests==2.34.2.
# Behaviour: a file or an iterator goes out a second time as what is left of it: nothing, in chunks. A form with a file
#   in it (files=) goes out with an empty part in the file's place. The server says 200 to that, the caller sees the 200
#   alone, and the upload is lost. Bytes arrive whole.
# Seen, of a server that refuses the first token when it has read the body, in bytes of the file that have arrived:
#   data=bytes       200   401: 1000   200: 1000
#   data=file        200   401: 1000   200: 0
#   data=iterator    200   401: 1000   200: 0
#   files=file       200   401: 1000   200: 0
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
if ! { python3 -m venv "$folder/venv" && timeout 300 "$folder/venv/bin/pip" install --quiet \
  --disable-pip-version-check google-auth==2.63.0 requests==2.34.2; } > "$folder/log" 2>&1; then
  cat "$folder/log" >&2
  echo "NOT RUN: google-auth==2.63.0 could not be installed" >&2
  exit 75
fi

NO_PROXY='*' timeout 60 "$folder/venv/bin/python" - << 'PYTHON'
import io
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version

from google.auth.transport.requests import AuthorizedSession
from google.oauth2.credentials import Credentials

SIZE = 1000
arrived = []


class Server(BaseHTTPRequestHandler):
    """The token endpoint, and an API that takes uploads with the new token alone."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        length = self.headers["Content-Length"]
        body = self.rfile.read(int(length)) if length else self.chunks()
        if self.path == "/token":
            self.answer(200, {"access_token": "new", "token_type": "Bearer", "expires_in": 3600})
            return
        status = 200 if self.headers["Authorization"] == "Bearer new" else 401
        arrived.append((status, body.count(b"#")))
        self.answer(status, {})

    def chunks(self):
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

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

contents = b"#" * SIZE
# how the body is given, and how much of it the second request brings
table = [
    ("data=bytes", {"data": contents}, SIZE),
    ("data=file", {"data": io.BytesIO(contents)}, 0),
    ("data=iterator", {"data": iter([contents])}, 0),
    ("files=file", {"files": {"file": io.BytesIO(contents)}}, 0),
]
print(f"google-auth {version('google-auth')}, requests {version('requests')}")
changed = False
for name, arguments, expected in table:
    arrived.clear()
    credentials = Credentials(
        token="old", refresh_token="refresh", token_uri=f"{base}/token", client_id="client", client_secret="secret")
    try:
        outcome = AuthorizedSession(credentials).post(f"{base}/upload", timeout=10, **arguments).status_code
    except Exception as error:
        outcome = type(error).__name__
    print(f"{name:14} {outcome}  ", "  ".join(f"{status}: {count}" for status, count in arrived))
    changed |= outcome != 200 or arrived != [(401, SIZE), (200, expected)]
if changed:
    sys.exit("CHANGED: not as the head of this script has it")
PYTHON
