#!/usr/bin/env bash
# Guess: with --retry curl prints the last answer: what it tried again is gone. --fail-with-body prints an error's body
#   if the whole thing has failed, and `curl --retry 2 … | jq -r .access_token` sees one JSON object.
# Software: Debian 12's curl 7.88.1-10+deb12u* (`curl --version` says 7.88.1).
# Behaviour: to standard output (a pipe, and a file by `>` too) the body of each try is written, one behind the other,
#   with status 0 at the end: a script that waits out a 503 gets the error's JSON and then the token's. --dump-header
#   FILE holds the fields of all tries, so the first Retry-After or status in it is that of a try that was overcome.
#   --output FILE is emptied between the tries, and --fail writes no body of a failed one; --fail-with-body does.
# Seen, of a server that answers 503 with Retry-After: 1 once, and then 200 (all with exit status 0, and `200` by
# --write-out '%{http_code}'):
#   standard output                    {"error":"later"}{"access_token":"token"}
#   standard output, --fail-with-body  {"error":"later"}{"access_token":"token"}
#   standard output, --fail            {"access_token":"token"}
#   --output FILE                      {"access_token":"token"}
#   --dump-header FILE                 503 and 200
set -euo pipefail

if [[ $(curl --version 2> /dev/null) != "curl 7.88.1 "* ]]; then
  echo "NOT RUN: this needs curl 7.88.1, as Debian 12 has it" >&2
  exit 75
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

cd "$folder"
timeout 60 python3 - << 'PYTHON'
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

LATER, TOKEN = '{"error":"later"}', '{"access_token":"token"}'
received = set()


class Server(BaseHTTPRequestHandler):
    """Fails once at each path."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        is_first = self.path not in received
        received.add(self.path)
        body = (LATER if is_first else TOKEN).encode()
        self.send_response(503 if is_first else 200)
        if is_first:
            self.send_header("Retry-After", "1")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()


def curl(path, *options):
    """What is on standard output, and the last status."""
    command = ["curl", "--silent", "--noproxy", "*", "--retry", "2", "--write-out", "\n%{http_code}", *options]
    result = subprocess.run([*command, f"http://127.0.0.1:{server.server_port}/{path}"], stdout=subprocess.PIPE,
                            text=True, check=True)
    output, _, status = result.stdout.rpartition("\n")
    return output, status


print(subprocess.run(["curl", "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0])
changed = False
for option, expected in ([], LATER + TOKEN), (["--fail-with-body"], LATER + TOKEN), (["--fail"], TOKEN):
    output, status = curl(f"output{''.join(option)}", *option)
    print(f"standard output {option}: {output} {status}")
    changed |= (output, status) != (expected, "200")
_, status = curl("file", "--output", "body", "--dump-header", "fields")
body, statuses = Path("body").read_text(), re.findall(r"^HTTP/1\.1 (\d+)", Path("fields").read_text(), re.M)
print(f"--output FILE: {body} {status}")
print(f"--dump-header FILE: {statuses}")
changed |= (body, status, statuses) != (TOKEN, "200", ["503", "200"])
if changed:
    sys.exit("CHANGED: not as the head of this script has it")
PYTHON
