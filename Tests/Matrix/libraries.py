"""Gets the libraries of libraries.txt, and lays each set into a folder of its own for the dynamic loader to find."""

import dataclasses
import hashlib
import pathlib
import platform
import re
import shutil
import struct
import zipfile

from packages import Skipped, run

LIST = pathlib.Path(__file__).parent / "libraries.txt"
# By what their files' names begin with: the names that programs are linked to.
NAMES = {
    "libcurl": "libcurl.so.4", "libssl": "libssl.so.3", "libcrypto": "libcrypto.so.3", "libnghttp2": "libnghttp2.so.14",
}
MACHINE = "machine"
GNUTLS = "libcurl-gnutls.so.4"


class Unexpected(Exception):
    """A package is not the one that is meant."""


@dataclasses.dataclass
class Libraries:
    name: str
    package: str = ""
    version: str = ""
    # Versions by how the broker names the library, where they are not this machine's own.
    versions: dict = dataclasses.field(default_factory=dict)
    sha256: str = ""
    folder: pathlib.Path | None = None  # with files of their usual names; None: this machine's own

    @property
    def environment(self):
        return {"LD_LIBRARY_PATH": str(self.folder)} if self.folder else {}

    def get(self, folder):
        """Lays them into a folder, unless that was done before. Raises Skipped where they are not to be had, and
        Unexpected where others are."""
        if not self.package:
            return
        self.folder = folder / self.name
        taken = self.folder / "taken-from.txt"
        if taken.exists() and taken.read_text() == self.sha256:
            return
        if platform.machine() != "x86_64":
            raise Skipped(f"the packages' digests are of those for x86_64, and this is {platform.machine()}")
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        release, _, package = self.package.rpartition("/")
        wanted = package, self.version, self.folder
        archive = debian(release, *wanted) if release else wheel(*wanted)
        digest = hashlib.sha256(archive.read_bytes()).hexdigest()
        if digest != self.sha256:
            raise Unexpected(f"{archive.name} has the SHA-256 {digest}, and {self.sha256} is expected")
        unpack(archive, self.folder)
        archive.unlink()
        for beginning, name in NAMES.items():
            for file in self.folder.glob(f"{beginning}-*.so.*"):  # a wheel has mangled names
                (self.folder / name).symlink_to(file.name)
        taken.write_text(self.sha256)


def listed():
    """This machine's own, and those of the list in their order."""
    rows = [line.split() for line in LIST.read_text().splitlines() if not line.startswith("#")]
    sets = [Libraries("debian")]
    for package, version, curl, openssl, nghttp2, sha256 in rows:
        versions = {"libcurl": curl, "OpenSSL": openssl, "nghttp2": nghttp2}
        versions = {name: version for name, version in versions.items() if version != MACHINE}
        name = "curl-" + ".".join(curl.split(".")[:2])
        sets.append(Libraries(name, package, version, versions, sha256))
    return sets


def wheel(package, version, folder):
    """Any Python's will do, but the digest is of that for 3.11."""
    options = ["--quiet", "--disable-pip-version-check", "--retries", "1", "--no-deps", "--only-binary", ":all:"]
    options += ["--python-version", "3.11", "--platform", "manylinux_2_28_x86_64"]
    run("/usr/bin/python3", "-m", "pip", "download", *options, "--dest", folder, f"{package}=={version}")
    return next(folder.glob("*.whl"))


def debian(release, package, version, folder):
    """From another release at the place where this machine has Debian's packages from."""
    apt = folder / "apt"
    (apt / "lists/partial").mkdir(parents=True)
    places = run("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Codename: bookworm")
    if not places:
        raise Skipped("this machine has no packages of Debian 12")
    keys = "/usr/share/keyrings/debian-archive-keyring.gpg"
    (apt / "sources.list").write_text(f"deb [signed-by={keys}] {places.split()[0]} {release} main\n")
    options = {"Dir::Etc::sourcelist": apt / "sources.list", "Dir::Etc::sourceparts": "-", "Dir::Cache": apt}
    options |= {"Dir::State::lists": apt / "lists", "APT::Sandbox::User": "root"}
    options = [f"-o{name}={value}" for name, value in options.items()]
    run("apt-get", "update", "--quiet", *options)
    run("apt-get", "download", "--quiet", *options, f"{package}={version}", place=folder)
    shutil.rmtree(apt)
    return next(folder.glob("*.deb"))


def unpack(archive, folder):
    """The shared libraries in it, into the folder itself."""
    place = folder / "unpacked"
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as files:
            files.extractall(place)
    else:
        run("dpkg-deb", "--extract", archive, place)
    for file in sorted(place.rglob("*.so*")):
        if re.search(r"\.so(\.|$)", file.name) and "cpython" not in file.name:
            shutil.move(file, folder / file.name)
    shutil.rmtree(place)


def gnutls(folder):
    """Debian's libcurl with GnuTLS under the name of the one with OpenSSL. A broker that was built with its headers is
    linked to its own name, and runs; this one the loader would refuse if the library told versions of its symbols."""
    found = [pathlib.Path(place) / GNUTLS for place in ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu")]
    file = next(filter(pathlib.Path.exists, found), None)
    if not file:
        raise Skipped(f"there is no {GNUTLS}")
    libraries = Libraries("gnutls", folder=folder / "gnutls")
    libraries.folder.mkdir(parents=True, exist_ok=True)
    (libraries.folder / "libcurl.so.4").write_bytes(without_versions(file.read_bytes()))
    return libraries


def without_versions(data):
    """An ELF file (elf(5)) whose dynamic section no longer tells which versions its symbols are of."""
    dynamic, verdef, verdefnum, debug = 2, 0x6FFFFFFC, 0x6FFFFFFD, 21
    data = bytearray(data)
    headers, = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    for header in range(headers, headers + size * count, size):
        kind, _, place, _, _, length = struct.unpack_from("<IIQQQQ", data, header)
        if kind != dynamic:
            continue
        for entry in range(place, place + length, 16):
            if struct.unpack_from("<q", data, entry)[0] in (verdef, verdefnum):
                struct.pack_into("<q", data, entry, debug)  # a tag that is ignored here
    return data
