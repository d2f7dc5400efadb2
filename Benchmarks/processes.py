"""What Linux says of processes in /proc: their processor time, and their memory by what it is mapped from."""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class CPU:
    """Processor time in seconds, as the kernel counts it in ticks of 10 ms."""

    user: float
    system: float

    @property
    def total(self) -> float:
        return self.user + self.system

    def __sub__(self, earlier: "CPU") -> "CPU":
        return CPU(self.user - earlier.user, self.system - earlier.system)


@dataclass(frozen=True)
class Mapping:
    """Resident memory in bytes of everything that is mapped from one file, or from none."""

    name: str
    resident: int
    anonymous: int


def cpu(pids: Iterable[int]) -> CPU:
    """utime and stime of /proc/PID/stat, of all threads there have been."""
    user = system = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        user, system = user + int(fields[11]), system + int(fields[12])
    return CPU(user / TICKS_PER_SECOND, system / TICKS_PER_SECOND)


def resident(pids: Iterable[int]) -> int:
    """Bytes in memory, those of files included."""
    return sum(rollup(pid, "Rss") for pid in pids)


def anonymous(pids: Iterable[int]) -> int:
    """Bytes in memory that no file holds: what the processes have allocated or changed."""
    return sum(rollup(pid, "Anonymous") for pid in pids)


def rollup(pid: int, field: str) -> int:
    return field_bytes(Path(f"/proc/{pid}/smaps_rollup").read_text(), field)


def field_bytes(text: str, field: str) -> int:
    match = re.search(rf"^{field}:\s+(\d+) kB$", text, re.MULTILINE)
    return 1024 * int(match[1]) if match else 0


def mappings(pid: int) -> list[Mapping]:
    """What is mapped, one for each name, the largest first; what has none is called [anonymous]."""
    heading = re.compile(r"^[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ \S+ *(.*)$", re.MULTILINE)
    _, *parts = heading.split(Path(f"/proc/{pid}/smaps").read_text())
    found: dict[str, Mapping] = {}
    for name, text in zip(parts[::2], parts[1::2]):
        name = name or "[anonymous]"
        before = found.get(name, Mapping(name, 0, 0))
        found[name] = Mapping(
            name, before.resident + field_bytes(text, "Rss"), before.anonymous + field_bytes(text, "Anonymous")
        )
    return sorted(found.values(), key=lambda mapping: -mapping.resident)
