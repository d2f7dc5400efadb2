#!/usr/bin/env python3
"""Each command in README.md and docs/ is one that Tests/Interop/commands.py says of what shows that it works."""

import re
import shlex
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "Tests/Interop"))
from commands import MAKE, TABLE, commands, documents, row  # noqa: E402


def fault(command):
    found = row(command)
    if not found:
        return "Tests/Interop/commands.py has no row for it"
    if found[1] == MAKE:
        words = shlex.split(command)
        targets = [word for word in words[words.index("make") + 1:] if "=" not in word]
        rules = (ROOT / "Makefile").read_text()
        missing = [target for target in targets if not re.search(rf"^{re.escape(target)}:", rules, re.MULTILINE)]
        return f"the Makefile has no {missing[0]}" if missing else None
    if len(found) == 3 and found[2] not in (ROOT / found[1]).read_text():
        return f"{found[1]} no longer has '{found[2]}', which shows that it works"
    return None


def main():
    failed, used = False, set()
    for file in documents():
        for number, command in commands(file):
            used.add(row(command))
            if wrong := fault(command):
                print(f"{file.relative_to(ROOT)}:{number}: {command}: {wrong}")
                failed = True
    for unused in set(TABLE) - used:
        print(f"Tests/Interop/commands.py: no document has a command like {unused[0]}")
        failed = True
    return 1 if failed else 0


sys.exit(main())
