#!/usr/bin/env bash
# Guess: `verify=` of httpx says whom the client believes and `cert=` what it shows, so that with a path of a CA and a
#   client's certificate both count, as with requests and with httpx itself up to 0.27. What is not heeded is an error.
# Software: PyPI httpx==0.28.1 and httpx==0.27.2.
# Behaviour: 0.28 shows the certificate where `verify` is left out or False, and where `verify` is a path leaves it out
#   without an error: servers that demand one end the handshake, and those that do not (a broker that knows its callers
#   by certificates or keys) answer 401. DeprecationWarnings name both parameters, and not this. An `ssl.SSLContext`
#   that has both loaded is right in either version.
# Seen, of a server that asks for a certificate without demanding one:
#                                      httpx 0.27.2    httpx 0.28.1
#   cert=, verify=False                shown           shown
#   cert=, verify="ca.pem"             shown           not shown
#   verify=SSLContext with both        shown           shown
# Needs: openssl.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
install() { # $1: version
  python3 -m venv "$folder/$1" &&
    timeout 300 "$folder/$1/bin/pip" install --quiet --disable-pip-version-check "httpx==$1"
}
if ! { command -v openssl && install 0.27.2 && install 0.28.1; } > "$folder/log" 2>&1; then
  cat "$folder/log" >&2
  echo "NOT RUN: openssl, httpx==0.27.2 or httpx==0.28.1 is not to be had" >&2
  exit 75
fi
# One certificate for all of it: the server's, the client's, and the CA of both.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost \
  -addext subjectAltName=IP:127.0.0.1 -out "$folder/ca.pem" -keyout "$folder/key.pem" 2> "$folder/log"

cat > "$folder/ask.py" << 'PYTHON'
import http.server
import ssl
import sys
import threading
import warnings

import httpx

folder = sys.argv[1]
files = (f"{folder}/ca.pem", f"{folder}/key.pem")
warnings.simplefilter("ignore")


class Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.connection.getpeercert() else 401)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
asking = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=files[0])
asking.load_cert_chain(*files)
asking.verify_mode = ssl.CERT_OPTIONAL
server.socket = asking.wrap_socket(server.socket, server_side=True)
threading.Thread(target=server.serve_forever, daemon=True).start()

both = ssl.create_default_context(cafile=files[0])
both.load_cert_chain(*files)
url = f"https://127.0.0.1:{server.server_port}/"
for options in ({"cert": files, "verify": False}, {"cert": files, "verify": files[0]}, {"verify": both}):
    with httpx.Client(trust_env=False, timeout=10, **options) as client:
        print("shown" if client.get(url).status_code == 200 else "not shown")
PYTHON

status=0
for version in 0.27.2 0.28.1; do
  seen=$(timeout 60 "$folder/$version/bin/python" "$folder/ask.py" "$folder" | paste -sd,)
  echo "httpx $version: $seen"
  case $version in
    0.27.2) [ "$seen" = "shown,shown,shown" ] || status=1 ;;
    *) [ "$seen" = "shown,not shown,shown" ] || status=1 ;;
  esac
done
exit $status
