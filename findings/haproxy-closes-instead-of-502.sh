#!/usr/bin/env bash
# Guess: where a server closes its connection in place of an answer, as one may that is being restarted, HAProxy answers
#   502, and its log has a line that says so, whichever request of a client's connection it was.
# Software: Debian's haproxy 2.6.12-1+deb12u4, unpacked, not installed.
# Behaviour: that is so for the first request of a client's connection. For a later one the client gets not a byte: its
#   connection is closed, as though it could ask again, and the log has no line for that request. It makes no difference
#   whether the request was a POST, which an HTTP client will not repeat, or whether HAProxy had a new connection to the
#   server for it (option http-server-close). With retry-on empty-response the server is asked four times, for a POST
#   too, and then it is the same.
# Seen, of a server that reads POST /closed and closes, and answers all else:
#   setting                    1st of a connection            2nd of a connection
#   none                       502, asked 1 time, logged      closed, asked 1 time, not logged
#   option http-server-close   502, asked 1 time, logged      closed, asked 1 time, not logged
#   retry-on empty-response    502, asked 4 times, logged     closed, asked 4 times, not logged
# Needs: apt-get with the lists of Debian 12.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
if ! { timeout 300 apt-get -o APT::Sandbox::User=root download -q haproxy=2.6.12-1+deb12u4 liblua5.3-0 libssl3 \
  libopentracing1 libopentracing-c-wrapper0 && for package in *.deb; do dpkg-deb -x "$package" root; done; } > log 2>&1
then
  cat log >&2
  echo "NOT RUN: haproxy 2.6.12-1+deb12u4 could not be had" >&2
  exit 75
fi

LD_LIBRARY_PATH=$(printf '%s:' root/usr/lib/*-linux-gnu*) timeout 60 python3 - << 'PYTHON'
import contextlib
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

# setting; outcome, requests at the server and lines of the log for a first and for a second request
table = [
    ("", ("502", 1, 1), ("closed", 1, 0)),
    ("option http-server-close", ("502", 1, 1), ("closed", 1, 0)),
    ("retry-on empty-response", ("502", 4, 1), ("closed", 4, 0)),
]
received = []


def serve(connection):
    """Answers each request, and closes after one to /closed."""
    with contextlib.suppress(ConnectionError), connection, connection.makefile("rwb") as stream:
        while request := stream.readline().decode():
            length = 0
            while field := stream.readline().strip().lower():
                if field.startswith(b"content-length:"):
                    length = int(field.split(b":")[1])
            stream.read(length)
            received.append(request)
            if "/closed" in request:
                return
            stream.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            stream.flush()


def accept():
    while True:
        threading.Thread(target=serve, args=[server.accept()[0]], daemon=True).start()


server = socket.create_server(("127.0.0.1", 0))
threading.Thread(target=accept, daemon=True).start()
syslog = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
syslog.bind(("127.0.0.1", 0))
syslog.settimeout(0.5)
loopback = {"server": server.getsockname()[1], "syslog": syslog.getsockname()[1]}


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as unused:
        return unused.getsockname()[1]


def logged():
    """The log's lines on /closed since the last call."""
    lines = []
    try:
        while True:
            lines.append(syslog.recv(4096).decode())
    except TimeoutError:
        return sum("/closed" in line for line in lines)


def ask(connection, path):
    connection.sendall(f"POST {path} HTTP/1.1\r\nHost: api.example\r\nContent-Length: 3\r\n\r\na=b".encode())
    return connection.recv(4096).decode()


def outcome(port, place):
    """What becomes of POST /closed as the first or the second request of a connection."""
    received.clear()
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        if place == 2 and " 200 " not in ask(connection, "/answered"):
            sys.exit("HAProxy does not reach the server")
        answer = ask(connection, "/closed")
    lines = logged()
    return answer[9:12] or "closed", sum("/closed" in request for request in received), lines


def run(setting):
    port = free_port()
    Path("haproxy.cfg").write_text("\n".join([
        f"global\n log 127.0.0.1:{loopback['syslog']} local0",
        f"defaults\n mode http\n log global\n option httplog\n {setting}",
        " timeout connect 5s\n timeout client 5s\n timeout server 5s",
        f"listen all\n bind 127.0.0.1:{port}\n server server 127.0.0.1:{loopback['server']}\n",
    ]))
    with open("haproxy.log", "w") as log:
        haproxy = subprocess.Popen(["root/usr/sbin/haproxy", "-db", "-f", "haproxy.cfg"], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except ConnectionRefusedError:
                if time.monotonic() > deadline:
                    sys.exit(f"HAProxy does not start: {Path('haproxy.log').read_text()}")
                time.sleep(0.1)
        return outcome(port, 1), outcome(port, 2)
    finally:
        haproxy.terminate()
        try:
            haproxy.wait(10)
        except subprocess.TimeoutExpired:
            haproxy.kill()
            haproxy.wait()


print(subprocess.run(["root/usr/sbin/haproxy", "-v"], capture_output=True, text=True).stdout.splitlines()[0])
changed = False
for setting, *expected in table:
    seen = run(setting)
    for place, (what, requests, lines) in enumerate(seen, 1):
        print(f"{setting or 'none':25} request {place}: {what}, asked {requests} time(s), {lines} line(s) of the log")
    changed |= list(seen) != expected
if changed:
    sys.exit("CHANGED: not as the head of this script has it")
PYTHON
