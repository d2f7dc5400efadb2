"""Lists what the broker is made of, with versions and licences: `make dependencies` keeps it in dependencies.md.

dependencies.py BINARY              in Markdown, from Package.swift, the checkouts of its packages, and the Debian packages of
                                    the libraries that the binary is linked to on this machine
dependencies.py BINARY --cyclonedx  as a software bill of materials, in JSON of CycloneDX 1.5
"""

import json
import pathlib
import re
import subprocess
import sys
from urllib.parse import quote

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
    """Name, version, licence and package URL of each."""
    pattern = r'\.package\(url: "https://(\S+)/([\w-]+)\.git", exact: "([\w.-]+)"\)'
    for place, name, version in re.findall(pattern, (ROOT / "Package.swift").read_text()):
        (file,) = (ROOT / ".build/checkouts" / name).glob("LICENSE*")
        yield name, version, licence(file.read_text()), f"pkg:swift/{place}/{name}@{version}"
    version = re.search(r"Swift version ([\w.-]+)", run("swift", "--version")).group(1)
    name = "Swift's runtime, FoundationEssentials, Dispatch"
    yield name, version, "Apache-2.0 WITH Swift-exception", f"pkg:swift/github.com/swiftlang/swift@{version}"


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


def debian_rows(packages):
    for package in sorted(packages):
        version, architecture = run(
            "dpkg-query", "--show", "--showformat", "${Version} ${Architecture}", package
        ).split()
        url = f"pkg:deb/debian/{package}@{quote(version, safe='~.-')}?arch={architecture}"
        yield package, version, debian_licence(package), url


def markdown(groups):
    print(HEAD, end="")
    for title, rows in groups.items():
        table(title, [row[:3] for row in rows])


def cyclonedx(groups):
    """See https://cyclonedx.org/docs/1.5/json/. No serial number and no time: the same build gives the same file."""
    version = re.search(r'current = "(.+)"', (ROOT / "Sources/Telemetry/Version.swift").read_text()).group(1)
    broker = {"type": "application", "bom-ref": "token-broker", "name": "token-broker", "version": version}
    components = [
        {
            "type": "library",
            "bom-ref": url,
            "name": name,
            "version": version,
            "purl": url,
            "licenses": [{"license": {"name": licence}}],
        }
        for rows in groups.values()
        for name, version, licence, url in rows
    ]
    references = [component["bom-ref"] for component in components]
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": broker | {"licenses": [{"license": {"id": "Apache-2.0"}}]}},
        "components": components,
        "dependencies": [{"ref": "token-broker", "dependsOn": references}],
    }
    print(json.dumps(document, indent=2))


def main(binary, render):
    linked = dict(re.findall(r"^\s*(\S+) => (/\S+)", run("ldd", binary), re.MULTILINE))
    needed = set(re.findall(r"NEEDED.*\[(.+)\]", run("readelf", "--dynamic", binary)))
    # A debug build is linked to Swift's libraries; a release has them inside.
    linked = {name: path for name, path in linked.items() if "/swift/" not in path}
    direct = debian_packages(path for name, path in linked.items() if name in needed)
    others = debian_packages(linked.values()) - direct
    render(
        {
            "In the binary": list(swift_packages()),
            "Libraries from Debian": list(debian_rows(direct)),
            "What these bring with them": list(debian_rows(others)),
        }
    )


main(sys.argv[1], cyclonedx if "--cyclonedx" in sys.argv[2:] else markdown)
