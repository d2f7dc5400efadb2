"""Runs the README's examples and the documents' commands, each as it stands there, before brokers with a development tenant.

Usage: examples.py BROKER

Only addresses, keys and files are others: the brokers are on ephemeral ports, and one has the configuration and the caller
of docs/getting-started.md. Examples must print a token, and so must commands that ask for one. What is not run, because
its row in commands.py says what else shows it or because its language is not installed, is skipped, and that is said.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from commands import ROOT, RUN, commands, documents, program, row
from processes import Process, write

BROKER = pathlib.Path(sys.argv[1]).resolve()
# The fence's word: the file that the example becomes, and what runs it.
LANGUAGES = {
    "sh": ("token.sh", ["bash"]),
    "python": ("token.py", ["/usr/bin/python3"]),
    "go": ("token.go", ["go", "run"]),
    "js": ("token.mjs", ["node"]),
    "java": ("Token.java", ["java"]),
}
TOKEN = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]+")


class Dev(Process):
    """The binary with its development tenant, whose first caller of a configuration has the key KEY."""

    def __init__(self, name, place, configuration=None):
        file = [] if configuration is None else ["--config", write(place / f"{name}.yaml", configuration)]
        listen = {"BROKER_LISTEN": "127.0.0.1:0", "BROKER_ADMIN_LISTEN": "127.0.0.1:0", "BROKER_LOG_FORMAT": "json"}
        super().__init__(name, [BROKER, "dev", *file], place, listen)

    def start(self):
        super().start()
        pattern = re.compile(r'.*"message":"serving".*\n')
        serving = json.loads(self.wait("line that says 'serving'", lambda: pattern.search(self.log.read_text()))[0])
        self.main, self.admin = (serving[name].removeprefix("http://") for name in ("addresses", "admin"))

    def here(self, text):
        """A text with this broker's addresses."""
        return text.replace("127.0.0.1:8080", self.main).replace("127.0.0.1:8081", self.admin)


def said(*command, environment=None, text=""):
    result = subprocess.run(
        command, env={**os.environ, **(environment or {})}, input=text, capture_output=True, text=True, timeout=120)
    return result.returncode, result.stdout, result.stderr


def examples():
    section = (ROOT / "README.md").read_text().split("\n## Calling it\n")[1].split("\n## ")[0]
    found = re.findall(r"^```(\w+)\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    if missing := LANGUAGES.keys() - {language for language, _ in found}:
        raise SystemExit(f"README.md, Calling it: no example in {', '.join(sorted(missing))}")
    return found


def play_example(language, text, folder):
    """What is wrong with it; None: nothing."""
    name, command = LANGUAGES[language]
    settings = {"GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOCACHE": str(folder / "go")}
    status, output, errors = said(*command, write(folder / name, text), environment=settings)
    return None if status == 0 and TOKEN.fullmatch(output.strip()) else output + errors


def play_command(command, key, brokers, folder):
    """What is wrong with it; None: nothing."""
    is_caller = any(mark in command for mark in ("$KEY", "tb_…"))
    broker = brokers["callers" if is_caller else "anyone"]
    words = broker.here(command).replace("sudo ", "").replace("/etc/", f"{folder}/etc/").replace("tb_…", key)
    # What the reader is to fill in.
    words = words.replace(" COMMAND", " token").replace(" AUDIENCE", " https://api.example.com/").replace(" …", " config --get http.extraHeader")
    words = words.replace('"$header" https://api.example.com/', f'"$header" --verbose http://{broker.main}/healthz')
    settings = {"PATH": f"{BROKER.parent}:{os.environ['PATH']}", "KEY": key, "BROKER_LISTEN": broker.main}
    script = f"set -euo pipefail; cd {folder}; {words}"
    status, output, errors = said("bash", "-c", script, environment=settings, text="a secret\n")
    wants_token = re.search(r":8080/|token-broker token\b", command)
    return None if status == 0 and (not wants_token or TOKEN.search(output + errors)) else output + errors


def unknown_options(command):
    """Those that --help does not have."""
    if not (name := re.search(r"token-broker ([a-z]+)", command)):
        return []
    status, text, _ = said(BROKER, name[1], "--help")
    return [option for option in re.findall(r"--[a-z-]+", command) if status or option not in text]


def configuration(key):
    """That of docs/getting-started.md, with a caller that has the key."""
    text = (ROOT / "docs/getting-started.md").read_text()
    block = next(block for block in re.findall(r"^```yaml\n(.*?)^```$", text, re.M | re.S) if "callers:" in block)
    _, printed, _ = said("sha256sum", text=key)
    return block.replace("YOUR-KEY'S-SHA256", printed.split()[0])


def main():
    results = []

    def verdict(what, wrong):
        results.append(wrong is None)
        print(f"{'ok' if wrong is None else 'FAILED'} {what}" + (f": {wrong}" if wrong else ""), flush=True)

    key = re.search(r"tb_\w+", said(BROKER, "key")[1])[0]
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        (folder / "etc").mkdir()
        for name in ("secret", "token-broker.yaml"):
            write(folder / name, "")
        with Dev("anyone", folder) as anyone, Dev("callers", folder, configuration(key)) as callers:
            for language, text in examples():
                if shutil.which(LANGUAGES[language][1][0]):
                    verdict(f"README.md, {language}", play_example(language, anyone.here(text), folder))
                else:
                    print(f"SKIPPED README.md, {language}: it is not installed", flush=True)
            for file in documents():
                for number, command in commands(file):
                    what = f"{file.name}:{number}: {command}"
                    if program(command) == "token-broker" and (options := unknown_options(command)):
                        verdict(what, f"there is no {' '.join(options)}")
                    found = row(command)
                    if found and found[1] == RUN:
                        verdict(what, play_command(command, key, {"anyone": anyone, "callers": callers}, folder))
                    elif found and len(found) == 2 and found[1] != "make":
                        print(f"SKIPPED {what}: {found[1]}", flush=True)
    print(f"{results.count(True)} passed, {results.count(False)} failed")
    sys.exit(0 if results and all(results) else 1)


main()
