#!/usr/bin/env python3
"""The modules of Sources import each other from the bottom up, and only what TABLE names."""

import re
import sys
from pathlib import Path

# From the bottom up: a module; the modules that it may import, all of rows above its own; products of other packages; C
# libraries, which no module imports that does not name them here.
TABLE = """
Basics:                                                       ; Crypto                             ;
IO:           Basics                                          ;                                    ; CArguments CLinux COpenSSL
HTTPServer:   Basics IO                                       ;                                    ; CNghttp2
HTTPClient:   Basics IO                                       ;                                    ; CCurl COpenSSL
OAuth:        Basics HTTPClient                               ; Crypto CryptoExtras JWTKit         ;
BrokerCore:   Basics OAuth                                    ; Crypto HeapModule Logging          ;
Stores:       Basics IO BrokerCore                            ; DequeModule Logging                ; CHiredis CSQLite
Telemetry:    Basics IO BrokerCore                            ; Logging                            ;
BrokerAPI:    Basics IO HTTPServer OAuth BrokerCore Telemetry ;                                    ;
Status:       Basics OAuth BrokerCore Telemetry               ;                                    ;
Settings:     all above                                       ; Logging                            ; CYaml
Application:  all above                                       ; Logging                            ;
DevTenant:    Basics IO HTTPServer                            ; Crypto CryptoExtras SwiftASN1 X509 ;
token-broker: Application Settings DevTenant                  ; ArgumentParser                     ;
"""

# What comes with Swift, for everybody.
STANDARD = {"Dispatch", "FoundationEssentials", "Glibc", "Synchronization"}

WHY_NOT = {"Foundation": "FoundationEssentials is expected: all of Foundation adds 48 MB of ICU to the binary"}

IMPORT = re.compile(
    r"\s*(?:@\w+(?:\([^)]*\))?\s+)*(?:(?:public|package|internal|fileprivate|private)\s+)?import\s+"
    r"(?:(?:typealias|struct|class|enum|protocol|let|var|func)\s+)?(\w+)"
)


def read_table() -> tuple[dict[str, set[str]], list[str]]:
    """What each module may import, and what is wrong with the table. Rows that name only rows above make no circle."""
    allowed: dict[str, set[str]] = {}
    faults = []
    for row in TABLE.strip().splitlines():
        module, _, rest = row.partition(":")
        ours, products, libraries = rest.split(";")
        names = set(allowed) if ours.strip() == "all above" else set(ours.split())
        for name in sorted(names - set(allowed)):
            faults.append(f"Tests/Checks/imports.py: the table lets {module} import {name}, which is no row above it")
        allowed[module] = names | set(products.split()) | set(libraries.split())
    return allowed, faults


def main() -> int:
    root = Path(__file__).resolve().parents[2]
    allowed, faults = read_table()
    # A C library is a folder without Swift.
    present = {folder.name: not any(folder.rglob("*.swift")) for folder in (root / "Sources").iterdir()}
    named = set(allowed).union(*allowed.values())
    for module, is_library in sorted(present.items()):
        if module not in (named if is_library else allowed):
            faults.append(f"Sources/{module}: a module that the table of Tests/Checks/imports.py lacks")
    for module in sorted(set(allowed) - set(present)):
        faults.append(f"Tests/Checks/imports.py: the table has {module}, but there is no Sources/{module}")

    for file in sorted((root / "Sources").rglob("*.swift")):
        place = file.relative_to(root)
        module = place.parts[1]
        if module not in allowed:
            continue
        for number, line in enumerate(file.read_text().splitlines(), 1):
            match = IMPORT.match(line)
            if match and match[1] not in allowed[module] | STANDARD:
                may = WHY_NOT.get(match[1]) or f"it may import {', '.join(sorted(allowed[module]))}"
                faults.append(f"{place}:{number}: {module} imports {match[1]}; {may}")
    print("\n".join(faults), end="\n" if faults else "")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
