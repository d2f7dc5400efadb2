"""Programs that are started on ephemeral loopback ports, waited for, asked, and ended by their ids."""

import contextlib
import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request

# Loopback is never asked by way of a proxy.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def write(file, text):
    file.write_text(text)
    return file


class Process:
    """A program with its output in a file. It is started on entering a `with`, and has ended when that is left."""

    def __init__(self, name, command, place, environment=None, port=None):
        """`port`: where it listens as soon as it has started."""
        self.name, self.command = name, [str(word) for word in command]
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(place), **(environment or {})}
        self.place, self.log, self.process = place, place / f"{name}.log", None
        self.port = port

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, *_):
        self.end()

    def start(self, stdin=subprocess.DEVNULL):
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                self.command, env=self.environment, cwd=self.place, stdin=stdin, stdout=log, stderr=log)
        if self.port:
            self.wait(f"listener at port {self.port}", self.accepts)

    def end(self):
        if not self.process:
            return
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)

    def wait(self, what, find, seconds=60):
        """What `find` returns, as soon as that is something, asked again and again."""
        deadline = time.monotonic() + seconds
        while not (found := find()):
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.name} ended with status {self.process.returncode}:\n{self.tail()}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.name}: no {what} within {seconds} s:\n{self.tail()}")
            time.sleep(0.05)  # There is no event for what another program does.
        return found

    def accepts(self):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True

    def tail(self):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])


def ask(url, body=None, headers=None, method=None):
    """Status and body of an answer, whatever the status."""
    request = urllib.request.Request(url, data=body, headers=headers or {}, method=method)
    try:
        with OPENER.open(request, timeout=40) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, refusal.read().decode()


def ask_json(url, value=None, headers=None, method=None):
    """What a server's own API answers to a JSON value. It must not refuse."""
    body = None if value is None else json.dumps(value).encode()
    status, text = ask(url, body, {"Content-Type": "application/json", **(headers or {})}, method)
    if status >= 300:
        raise RuntimeError(f"{url} answers {status}: {text}")
    return json.loads(text) if text else None
