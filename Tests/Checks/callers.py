#!/usr/bin/env python3
"""docs/callers.md says of each client library what `make interop` runs and what it then expects its user to see.

WRITE=1 in the environment writes that part of the document anew.
"""

import importlib
import os
import re
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs/callers.md"
HEADING = "\n## Client libraries\n"
INTRODUCTION = """
What follows is run against the broker by `make interop`, and what each client's user sees is what was seen there. `url`
is the broker's, `caller` the caller's name, `key` its key. Refused are a wrong key, an audience (where the client can
name none, a scope) that the caller may not have, and more requests than its `requestsPerMinute`; and the tenant is
away: it answers 503, and nobody holds a token. Where `Retry-After` stands, the user can read that field. The broker's
answers are those to one call, in ascending order.

Where a client can name no audience it stands in the token URL (`/oauth/token/<audience>` or `?audience=`), else it is
the caller's `defaultAudience`, else the caller's only exact one.
"""
AUDIENCES = {
    "form": "in the form",
    "token URL": "in the token URL",
    "path": "in the path",
    "none": "the caller's default",
}
CASES = {
    "token": "a token",
    "wrong key": "a wrong key",
    "refused": "what it may not have",
    "busy": "over its limit",
    "away": "the tenant is away",
}


def body(text, name):
    """What stands inside of the function, without its indentation."""
    lines = text.split("\n")
    start = next(index for index, line in enumerate(lines) if re.match(rf"\s*(def|func|static) .*\b{name}\(", line))
    depth = len(lines[start]) - len(lines[start].lstrip())
    inside = []
    for line in lines[start + 1:]:
        if line.strip() and len(line) - len(line.lstrip()) <= depth:
            break
        inside.append(line)
    return textwrap.dedent("\n".join(inside)).strip()


def example(client):
    if hasattr(client, "COMMAND"):
        return "sh", client.COMMAND.strip()
    if hasattr(client, "SOURCE"):
        return client.SOURCE.suffix[1:], body(client.SOURCE.read_text(), "token")
    return "python", body(Path(client.__file__).read_text(), "ask")


def section(client):
    language, code = example(client)
    rows = []
    for case, (seen, answers) in client.EXPECTED.items():
        kind, _, how = case.partition(", ")
        what = CASES[kind] + (f", `{how}`" if how.startswith("-") else f", {how}" if how else "")
        seen = seen if seen == "a token" else f"`{seen}`"
        rows.append(f"| {what} | {seen} | {', '.join(map(str, answers)) or 'none'} |")
    about = textwrap.wrap(" ".join(client.__doc__.split()), 120, break_on_hyphens=False, break_long_words=False)
    return "\n".join([
        f"### {client.NAME}", "", *about, "", f"```{language}", code, "```", "",
        "| when | what its user sees | the broker's answers |", "|---|---|---|", *rows, "",
    ])


def wanted():
    sys.path.insert(0, str(ROOT / "Tests/Interop"))
    names = importlib.import_module("clients").NAMES
    clients = [importlib.import_module(f"clients.{name}") for name in names]
    table = ["| client | over | audience |", "|---|---|---|"] + [
        f"| {client.NAME} | {'HTTPS only' if client.HTTPS else 'HTTP or HTTPS'} | {AUDIENCES[client.AUDIENCE]} |"
        for client in clients
    ]
    return "\n".join([INTRODUCTION, *table, "", *map(section, clients)])


def main():
    before, heading, after = DOCUMENT.read_text().partition(HEADING)
    text = wanted()
    if os.environ.get("WRITE"):
        DOCUMENT.write_text(before + HEADING + text)
    elif not heading or after != text:
        sys.exit("docs/callers.md says otherwise than Tests/Interop/clients; WRITE=1 Tests/Checks/callers.py writes it")


main()
