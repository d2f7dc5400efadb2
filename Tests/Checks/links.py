#!/usr/bin/env python3
"""Relative links in Markdown lead to files that exist, and their anchors to headings (or, in other files, to lines)."""

import re
import sys
from pathlib import Path
from urllib.parse import unquote

FENCE = re.compile(r" *(```|~~~)")
LINK = re.compile(r"\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)|^ *\[[^\]]+\]: *(\S+)|(?:href|src)=\"([^\"]+)\"")
HEADING = re.compile(r"#{1,6} +(.+?)(?: +#+)? *$")


def prose(file: Path) -> list[tuple[int, str]]:
    """The lines outside of blocks of code, with their numbers."""
    lines, fence = [], None
    for number, line in enumerate(file.read_text().splitlines(), 1):
        mark = FENCE.match(line)
        if mark and fence in (None, mark[1]):
            fence = None if fence else mark[1]
        elif not fence:
            lines.append((number, line))
    return lines


def anchors(file: Path) -> set[str]:
    """What GitHub makes of the headings: lower case, hyphens for spaces, no punctuation, numbers for what recurs."""
    found: set[str] = set()
    for _, line in prose(file):
        found.update(re.findall(r"<a (?:id|name)=\"([^\"]+)\"", line))
        heading = HEADING.match(line)
        if not heading:
            continue
        text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading[1]).lower()
        plain = slug = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        again = 0
        while slug in found:
            again += 1
            slug = f"{plain}-{again}"
        found.add(slug)
    return found


def fault(file: Path, link: str, root: Path) -> str | None:
    path, _, anchor = unquote(link).partition("#")
    target = (file.parent / path).resolve() if path else file
    if not target.is_relative_to(root):
        return "leads out of the repository"
    if not target.exists():
        return "there is no such file"
    if not anchor:
        return None
    if target.suffix == ".md":
        return None if anchor in anchors(target) else "that file has no such heading"
    lines = re.fullmatch(r"L(\d+)(?:-L(\d+))?", anchor)
    if not lines or target.is_dir():
        return "a line (#L1) is expected in what is no Markdown"
    last = int(lines[2] or lines[1])
    return None if last <= len(target.read_text().splitlines()) else "that file is shorter"


def main() -> int:
    root = Path(__file__).resolve().parents[2]
    failed = False
    for file in sorted([*root.glob("*.md"), *root.glob("[!.]*/**/*.md")]):
        place = file.relative_to(root)
        for number, line in prose(file):
            for match in LINK.finditer(re.sub(r"`[^`]*`", "", line)):
                link = next(group for group in match.groups() if group)
                wrong = None if re.match(r"[a-z+.-]+:|//", link) else fault(file, link, root)
                if wrong:
                    print(f"{place}:{number}: the link {link}: {wrong}")
                    failed = True
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
