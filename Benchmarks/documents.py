"""Writing figures into docs/sizing.md, between a line `<!-- NAME -->` and a line `<!-- end of NAME -->`."""

import re
from pathlib import Path

from figures import Failed

DOCS = Path(__file__).resolve().parents[1] / "docs"


SIZING = DOCS / "sizing.md"


def replaced(name: str, text: str) -> str:
    """The document with this text in that place. It fails where there is none: ask before minutes of measuring."""
    between = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end of {name} -->\n)", re.DOTALL)
    written, count = between.subn(lambda match: f"{match[1]}\n{text}\n\n{match[2]}", SIZING.read_text())
    if count != 1:
        raise Failed(f"{SIZING} has no place for {name}")
    return written


def write(name: str, text: str) -> None:
    SIZING.write_text(replaced(name, text))
