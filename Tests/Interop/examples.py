"""Runs the README's examples, each as it stands there, and wants a token from each.

Usage: examples.py BROKER

Only the address is another: that of a broker with its development tenant on an ephemeral port. A language that is not
installed is skipped, and that is said.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

README = pathlib.Path(__file__).resolve().parents[2] / "README.md"
# The fence's word: the file that the example becomes, and what runs it.
LANGUAGES = {
    "sh": ("token.sh", ["bash"]),
    "python": ("token.py", ["/usr/bin/python3"]),
    "go": ("token.go", ["go", "run"]),
    "js": ("token.mjs", ["node"]),
    "java": ("Token.java", ["java"]),
}
TOKEN = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+")


def examples():
    section = README.read_text().split("\n## Calling it\n")[1].split("\n## ")[0]
    return re.findall(r"^```(\w+)\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


def serving(broker):
    """The address that the broker says it serves."""
    for line in broker.stderr:
        if line.startswith("{") and json.loads(line)["message"] == "serving":
            return json.loads(line)["addresses"].removeprefix("http://")
    raise SystemExit("the broker has ended before it served")


def run(language, text, address, folder):
    """One of `passed`, `failed` and `skipped`."""
    name, command = LANGUAGES[language]
    if not shutil.which(command[0]):
        print(f"SKIPPED {language}: {command[0]} is not installed", flush=True)
        return "skipped"
    file = folder / name
    file.write_text(text.replace("127.0.0.1:8080", address))
    environment = {**os.environ, "GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOCACHE": str(folder / "go")}
    answer = subprocess.run([*command, file], capture_output=True, text=True, timeout=120, env=environment, check=False)
    passed = answer.returncode == 0 and TOKEN.fullmatch(answer.stdout.strip())
    print(f"{'ok' if passed else 'FAILED'} {language}" + ("" if passed else f": {answer.stdout}{answer.stderr}"), flush=True)
    return "passed" if passed else "failed"


def main():
    found = examples()
    missing = LANGUAGES.keys() - {language for language, _ in found}
    if missing:
        raise SystemExit(f"README.md, Calling it: no example in {', '.join(sorted(missing))}")
    environment = {"PATH": os.environ["PATH"], "BROKER_LISTEN": "127.0.0.1:0", "BROKER_ADMIN_LISTEN": "off"}
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen([sys.argv[1], "dev"], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=environment) as broker,
    ):
        try:
            address = serving(broker)
            results = [run(language, text, address, pathlib.Path(folder)) for language, text in found]
        finally:
            broker.terminate()
    sys.exit(1 if "failed" in results or "passed" not in results else 0)


main()
