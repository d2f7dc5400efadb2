"""Gets servers and clients: into an environment each, as requirements pin all of it, or from Debian's packages."""

import pathlib
import shutil
import subprocess

LISTS = pathlib.Path(__file__).parent / "requirements"


class Skipped(Exception):
    """Why a server or a client cannot be put to the test on this machine."""


def run(*command, place=None, seconds=180):
    command = [str(word) for word in command]
    try:
        result = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=seconds)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Skipped(str(error)) from None
    if result.returncode:
        lines = (result.stderr or result.stdout).strip().splitlines()
        errors = [line for line in lines if line.startswith(("ERROR: ", "E: "))] or lines
        raise Skipped(errors[-1] if errors else f"{command[0]} ended with status {result.returncode}")
    return result.stdout


def require(version, *command):
    """Skips what is put to the test where a program is another than its expectations were seen of."""
    said = run(*command).partition("\n")[0]
    if version not in said:
        raise Skipped(f"what is expected was seen of {version}, and this is {said}")


def install(name, folder):
    """Returns the environment `folder/name`, made anew if it does not hold what the list says."""
    environment, wanted = folder / name, LISTS / f"{name}.txt"
    installed = environment / "installed.txt"
    if not installed.exists() or installed.read_text() != wanted.read_text():
        run("/usr/bin/python3", "-m", "venv", "--clear", environment)
        options = ["--quiet", "--disable-pip-version-check", "--retries", "1", "--no-deps"]
        run(environment / "bin/python", "-m", "pip", "install", *options, "-r", wanted)
        installed.write_text(wanted.read_text())
    return environment


def unpack(package, version, folder):
    """Returns a folder with what Debian's package holds. It is not installed: that might start a service."""
    place = folder / package
    unpacked = place / "unpacked.txt"
    if not unpacked.exists() or unpacked.read_text() != version:
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        run("apt-get", "download", "--quiet", f"{package}={version}", place=place)
        archive, = place.glob("*.deb")
        run("dpkg-deb", "--extract", archive, place)
        unpacked.write_text(version)
    return place
