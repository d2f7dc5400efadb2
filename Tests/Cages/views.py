"""Cages that show a process another machine: mount and user namespaces, limits of its user, other system calls."""

import pathlib
import shutil
import subprocess
import sys

from stage import Cage, Skipped

HERE = pathlib.Path(__file__).resolve().parent


def probe(words, what):
    """That this machine can do that."""
    result = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=20)
    if result.returncode:
        raise Skipped(f"{what}: {result.stderr.strip() or result.returncode}")
    return result.stdout


class Limited(Cage):
    """Less than usual of what prlimit(1) can limit, for a user who has nothing else."""

    def __init__(self, *options, user=None):
        self.options, self.user = options, user

    def __enter__(self):
        probe(self.command(["true"], None), "prlimit")
        return self

    def command(self, words, place):
        become = ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups"] if self.user else []
        # As that user, so that it counts the user's own threads.
        return [*become, "prlimit", *self.options, "--", *words]


class Root(Cage):
    """Another root: read-only, with the machine's programs and libraries, the play's directory, and nothing else that is
    not asked for."""

    def __init__(self, place, parts):
        self.place, self.parts = place, parts
        self.root = place.with_name(place.name + "-root")

    def __enter__(self):
        self.root.mkdir()
        try:
            probe(self.command(["true"], self.place), "a root of its own")
        except Skipped:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.root.rmdir()  # What was mounted is gone with the processes that saw it.

    def command(self, words, place):
        return ["unshare", "--mount", "--propagation", "private", HERE / "root.sh",
                self.root, place, self.parts, *words]

    def seen(self, file):
        return pathlib.Path("/cage") / file.relative_to(self.place)


class Users(Cage):
    """A user namespace that knows one user, or none."""

    def __init__(self, *options):
        self.options = options

    def __enter__(self):
        probe(self.command(["true"], None), "a user namespace")
        return self

    def command(self, words, place):
        return ["unshare", "--user", *self.options, "--", *words]


class BootTime(Cage):
    """A time namespace in which the machine started so many seconds earlier."""

    def __init__(self, seconds):
        self.seconds = seconds

    def __enter__(self):
        now = float(pathlib.Path("/proc/uptime").read_text().split()[0])
        inside = float(probe(self.command(["cat", "/proc/uptime"], None), "a time namespace").split()[0])
        if abs(inside - now - self.seconds) > 60:
            raise Skipped("a time namespace is not entered without another process in between")
        return self

    def command(self, words, place):
        return ["unshare", "--time", "--boottime", str(self.seconds), "--", *words]


class SystemCalls(Cage):
    """Only the system calls that container engines allow (engine_syscalls.txt); others fail with EPERM, and those that
    nobody knows yet with ENOSYS."""

    def __enter__(self):
        self.compiler = shutil.which("cc") or shutil.which("clang")
        if not self.compiler:
            raise Skipped("no C compiler tells the numbers of system calls")
        result = subprocess.run(
            self.command(["unshare", "--mount", "true"], None), capture_output=True, text=True, timeout=20)
        if "Operation not permitted" not in result.stderr:
            raise Skipped(f"a filter does not hold: {result.stderr.strip()}")
        return self

    def command(self, words, place):
        return [sys.executable, HERE / "filtered.py", self.compiler, *words]
