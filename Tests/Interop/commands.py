"""The commands in README.md and docs/, and what shows of each that it works.

A command stands in a block without a language, or of `sh`, whose first line begins with one of PROGRAMS; or in backquotes
in the text. Tests/Checks/commands.py wants a row of TABLE for each, examples.py runs those that can be run anywhere.
"""

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAMS = {"cp", "curl", "docker", "git", "kubectl", "make", "sudo", "token-broker", "wget"}
# What shows that it works: examples.py runs it; or its options are in --help, and a file's text has it run; or else why
# nothing does.
RUN, MAKE = "run", "make"
TABLE = [
    (r"(sudo )?make .*", MAKE),
    # With parts that are the reader's to fill in.
    (r"token-broker token AUDIENCE (.*\[|--output …).*", "Tests/IntegrationTests/CommandTests.swift", '"token", API.audience'),
    (r"token-broker health \[.*", "Tests/IntegrationTests/CommandTests.swift", '"health", "--ready"'),
    (r"(\w+=\S+ )?token-broker (key|token|health)\b.*", RUN),
    (r"header=\$\(token-broker token .*", RUN),
    (r"token-broker (--generate-completion-script bash|help COMMAND)", RUN),
    (r"(sudo \w+=\S+ )?token-broker check\b.*", "Tests/IntegrationTests/CheckTests.swift", '"check"'),
    (r"token-broker \[serve\]|token-broker serve\b.*", "Tests/IntegrationTests/CommandTests.swift", '"serve", "--config"'),
    (r"(\w+=\S+ )?token-broker dev\b.*", "Tests/IntegrationTests/DevTests.swift", '["dev"]'),
    (r"(curl|wget) .*\$AUDIENCE.*", "Tests/Checks/callers.py", "COMMAND"),
    (r"curl .*", RUN),
    (r"sudo install .*", RUN),
    (r"sudo apt-get install \./\.build/.*", "Tests/Deploy/systemd.sh", "apt-get install -qq -y --no-install-recommends ./token-broker.deb"),
    (r"sudo systemctl enable --now .*", "Tests/Deploy/systemd.sh", "systemctl --quiet enable"),
    (r"docker build .*", "Tests/Deploy/image.sh", "buildah bud"),
    (r"docker compose .*", "it wants Docker; the file is validated against Compose's schema"),
    (r"cp -r deploy/kubernetes/overlays/example .*", "it copies what `kubectl kustomize` renders"),
    (r"kubectl kustomize\b.*", "Tests/Deploy/validate.sh", "kubectl kustomize"),
    (r"kubectl (apply|-n|exec) .*", "it wants a cluster"),
]


def documents():
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def row(command):
    return next((row for row in TABLE if re.fullmatch(row[0], command)), None)


def program(line):
    """The program that a line begins with, behind variables that are set for it or by it."""
    return re.match(r"(?:\w+=\$\(|\w+=\S* )*(\S*)", line)[1]


def commands(file):
    """Each command of a document with the number of its line."""
    lines = enumerate(file.read_text().splitlines(), 1)
    for number, line in lines:
        fence = re.match(r" *```(\w*)$", line)
        if not fence:
            for text in re.findall(r"`([^`]+)`", line):
                if " " in text and program(text) in PROGRAMS:
                    yield number, text
            continue
        block = []
        for number, line in lines:
            if re.match(r" *```$", line):
                break
            block.append((number, line.strip()))
        if fence[1] in ("", "sh") and program(block[0][1]) in PROGRAMS:
            yield from joined(block)


def joined(block):
    """Lines that end in a backslash go on in the next. A comment is none of the command, and `&&` stands between two, unless
    the first sets a variable for the second."""
    start, text = None, ""
    for number, line in block:
        start, text = start or number, text + line
        if text.endswith("\\"):
            text = text[:-1]
            continue
        text = " ".join(re.sub(r"\s+#.*", "", text).split())
        for command in [text] if re.match(r"\w+=\$\(", text) else text.split(" && "):
            yield start, command
        start, text = None, ""
