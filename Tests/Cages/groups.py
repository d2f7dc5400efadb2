"""Cages of control groups (cgroups(7)), by version 2 or 1, whichever this machine has them in."""

import contextlib
import os
import pathlib
import threading
import time

from stage import Cage, Skipped, eventually

ROOT, NAME = pathlib.Path("/sys/fs/cgroup"), "token-broker-cage"


def hierarchy(controller):
    """Where groups of a controller can be made, and by which version of control groups."""
    enabled = ROOT / "cgroup.subtree_control"
    if enabled.exists():
        if controller not in enabled.read_text().split():
            raise Skipped(f"no group of {ROOT} has the controller {controller}: cgroup.subtree_control lacks it")
        return ROOT, 2
    if not (ROOT / controller / "cgroup.procs").exists():
        raise Skipped(f"there is neither {enabled} nor {ROOT / controller}")
    return ROOT / controller, 1


class Group(Cage):
    """A group of its own, with values in its files: those of version 2, and those of version 1."""

    def __init__(self, controller, *versions):
        self.controller, self.versions = controller, {2: versions[0], 1: versions[-1]}

    def __enter__(self):
        root, self.version = hierarchy(self.controller)
        self.sweep(root)
        self.path = root / f"{NAME}-{os.getpid()}-{self.controller}"
        try:
            self.path.mkdir()
            for name, value in self.versions[self.version].items():
                with contextlib.suppress(FileNotFoundError) if name == "memory.swap.max" else contextlib.nullcontext():
                    (self.path / name).write_text(f"{value}\n")
        except OSError as error:
            self.__exit__()
            raise Skipped(f"a group of {root} cannot be made: {error}") from error
        return self

    def __exit__(self, *_):
        if self.path.exists():
            eventually(f"end of all that is in {self.path}", self.is_removed, 20)

    def is_removed(self):
        try:
            self.path.rmdir()
            return True
        except OSError:
            return False

    @staticmethod
    def sweep(root):
        """Removes what was left by runs that were killed: groups that nobody is in."""
        for old in root.glob(f"{NAME}-*"):
            with contextlib.suppress(OSError):
                old.rmdir()

    def command(self, words, place):
        return ["/bin/sh", "-c", 'echo 0 > "$0" && exec "$@"', self.path / "cgroup.procs", *words]

    def number(self, *names):
        """What the first of these files that is there holds."""
        file = next(self.path / name for name in names if (self.path / name).exists())
        return int(file.read_text())

    def table(self, name):
        lines = (self.path / name).read_text().splitlines()
        return {key: int(value) for key, value in (line.split() for line in lines)}


def memory(mebibytes):
    size = mebibytes << 20
    return Group("memory", {"memory.max": size, "memory.swap.max": 0}, {"memory.limit_in_bytes": size})


def processor(share):
    quota = int(share * 100_000)
    return Group("cpu", {"cpu.max": f"{quota} 100000"}, {"cpu.cfs_period_us": 100_000, "cpu.cfs_quota_us": quota})


def threads(count):
    return Group("pids", {"pids.max": count})


class Halting(threading.Thread):
    """Lets a process run for a share of every tenth of a second: what comes nearest to a quota without control groups."""

    def __init__(self, process, share):
        super().__init__(daemon=True)
        self.process, self.share, self.ending = process, share, threading.Event()

    def run(self):
        with contextlib.suppress(ProcessLookupError):
            while self.process.poll() is None and not self.ending.is_set():
                self.process.send_signal(19)  # SIGSTOP
                time.sleep(0.1 * (1 - self.share))  # It is time itself that is rationed.
                self.process.send_signal(18)  # SIGCONT
                time.sleep(0.1 * self.share)
