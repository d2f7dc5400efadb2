"""Lists what the broker is made of, with versions and licences, in Markdown: `make dependencies` keeps it in dependencies.md.

dependencies.py BINARY     reads Package.swift, the checkouts of its packages, and the Debian packages of the libraries that
                           the binary is linked to on this machine
"""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]

HEAD = """# Dependencies

Made by `make dependencies`; `make check` says when `Package.swift` names another version than this list does. The versions
of Debian's packages are those on the machine where it was made: security updates replace them, and the least that should be
there stands in [`minimum-versions.txt`](minimum-versions.txt). Their licences are those of most of their files. An image has
the records of what is inside of it, for scanners, in `/var/lib/dpkg/status.d`.
"""


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def table(title, rows):
    print(f"\n## {title}\n\n| package | version | licence |\n|---|---|---|")
    for row in rows:
        print(f"| {' | '.join(row)} |")


def licence(text):
    if "Apache License" in text:
        return "Apache-2.0" + (" WITH Swift-exception" if "Runtime Library Exception" in text else "")
    if "MIT License" in text:
        return "MIT"
    raise SystemExit(f"a licence that is not known here: {text[:80]!r}")


def swift_packages():
    pattern = r'\.package\(url: "\S+/([\w-]+)\.git", exact: "([\w.-]+)"\)'
    for name, version in re.findall(pattern, (ROOT / "Package.swift").read_text()):
        (file,) = (ROOT / ".build/checkouts" / name).glob("LICENSE*")
        yield name, version, licence(file.read_text())
    version = re.search(r"Swift version ([\w.-]+)", run("swift", "--version")).group(1)
    yield "Swift's runtime, FoundationEssentials, Dispatch", version, "Apache-2.0 WITH Swift-exception"


def debian_licence(package):
    """Of most of its files, where the copyright file is for machines; it names those of single files, too."""
    file = f"/usr/share/doc/{package}/copyright"
    text = pathlib.Path(file).read_text(errors="replace")
    match = re.search(r"^Files:\s*\*\n(?:.+\n)*?License:\s*(.+)", text, re.MULTILINE)
    return match.group(1) if match else f"see `{file}`"


def debian_packages(libraries):
    """The installed packages that these libraries are of, each with the name by which it is found."""
    packages = set()
    for library in libraries:
        result = run("dpkg-query", "--search", f"*/{pathlib.Path(library).resolve().name}")
        packages |= {line.split(":")[0] for line in result.splitlines() if ".so" in line}
    return packages


def main(binary):
    linked = dict(re.findall(r"^\s*(\S+) => (/\S+)", run("ldd", binary), re.MULTILINE))
    needed = set(re.findall(r"NEEDED.*\[(.+)\]", run("readelf", "--dynamic", binary)))
    # A debug build is linked to Swift's libraries; a release has them inside.
    linked = {name: path for name, path in linked.items() if "/swift/" not in path}
    direct = debian_packages(path for name, path in linked.items() if name in needed)
    others = debian_packages(linked.values()) - direct

    def rows(packages):
        for package in sorted(packages):
            yield package, run("dpkg-query", "--show", "--showformat", "${Version}", package), debian_licence(package)

    print(HEAD, end="")
    table("In the binary", swift_packages())
    table("Libraries from Debian", rows(direct))
    table("What these bring with them", rows(others))


main(sys.argv[1])
