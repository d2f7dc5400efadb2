#!/usr/bin/env python3
"""No function in Sources has more than 50 lines, from its first to its closing brace, which the formatter puts below
the beginning of the first. Prints the median, what 95 % do not exceed, and the longest."""

import re
import statistics
import sys
from pathlib import Path

LONGEST = 50
ATTRIBUTES = r"(?:@\w+(?:\([^)]*\))? )*(?:[a-z]+(?:\([a-z]+\))? )*"
START = re.compile(rf"( *){ATTRIBUTES}(?:func .|init[?(<]|deinit\b|subscript[(<])")


def length(lines: list[str], start: int, indentation: str) -> int | None:
    """How many lines the function has, or nothing where a protocol only asks for one."""
    in_head = True
    for index in range(start, len(lines)):
        line = re.sub(r"\s+// .*", "", lines[index])
        if line.startswith(indentation + " "):
            continue  # Parameters, or the body.
        if not in_head:
            if line.startswith(indentation + "}"):
                return index - start + 1
        elif index > start and not re.match(indentation + r"(\)|\{|->|where |async |throws)", line):
            return None
        elif line.endswith("}"):
            return index - start + 1
        else:
            in_head = not line.endswith("{")
    return None


def main() -> int:
    root = Path(__file__).resolve().parents[2]
    found = []
    for file in sorted((root / "Sources").rglob("*.swift")):
        lines = file.read_text().splitlines()
        for index, line in enumerate(lines):
            match = START.match(line)
            count = length(lines, index, match[1]) if match else None
            if count:
                found.append((count, f"{file.relative_to(root)}:{index + 1}"))
    found.sort(reverse=True)
    counts = [count for count, _ in found]
    if not counts:
        print("Sources: no function found, where some are expected")
        return 1
    print(
        f"{len(counts)} functions: median {statistics.median(counts):g} lines, "
        f"95 % at most {counts[len(counts) // 20]}, longest {counts[0]} ({found[0][1]})"
    )
    too_long = [(count, place) for count, place in found if count > LONGEST]
    for count, place in too_long:
        print(f"{place}: a function of {count} lines, where at most {LONGEST} are expected")
    return 1 if too_long else 0


if __name__ == "__main__":
    sys.exit(main())
