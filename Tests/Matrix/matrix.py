"""Puts the broker's release binary on newer libraries than this machine has, beside its own, and prints a table with a
column for each set of libraries and a row for each condition. All on loopback.

Usage: matrix.py BROKER TENANT FOLDER [NAME]...

FOLDER is where libraries are laid. A set that is not to be had is skipped, and that is said. The end status is 1 if
anything was not as expected.
"""

import contextlib
import dataclasses
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "Interop"))

import libraries  # noqa: E402
import tenants  # noqa: E402
import world  # noqa: E402
from conditions import CONDITIONS, Wrong, wrong_kind  # noqa: E402
from packages import Skipped  # noqa: E402

# What is so with these libraries and is none of the broker's, as docs/limits.md says: by its set and condition.
KNOWN = {("curl-8.16", "malformed"): "nghttp2 1.67.1 ends a connection with its first malformed request"}


@dataclasses.dataclass
class Scene:
    """What a condition is seen in."""

    executable: pathlib.Path
    libraries: libraries.Libraries
    files: pathlib.Path  # certificates
    place: pathlib.Path
    nginx: world.NGINX
    held: tenants.Holding
    prefix: list
    no_namespace: str | None
    notes: dict = dataclasses.field(default_factory=dict)
    told: dict = dataclasses.field(default_factory=dict)
    broker: world.Broker | None = None
    path: str = ""

    @contextlib.contextmanager
    def another(self, clients):
        """A broker of its own."""
        with tempfile.TemporaryDirectory(dir=self.place) as place:
            arguments = [self.executable, pathlib.Path(place), self.files, self.libraries, clients, self.prefix]
            with world.Broker(*arguments) as broker:
                yield broker

    def shown(self, name):
        """Certificates of which the server's is this."""
        place = self.place / name
        place.mkdir(exist_ok=True)
        for end in ("crt", "key"):
            shutil.copy(self.files / f"{name}.{end}", place / f"server.{end}")
        return place


def clients(scene, tenant, dead_url):
    """Of the broker that most conditions are put to: by each of nginx's ways, and by a name with a dead address."""
    facts = tenant.facts
    known = {"clientId": facts["AUTH0_CLIENT_ID"], "clientSecret": facts["AUTH0_CLIENT_SECRET"]}
    known["issuer"] = facts["AUTH0_DOMAIN"] + "/"
    all_of_them = {"dead": world.client(dead_url, scene.files)}
    for way, port in scene.nginx.ports.items():
        base = f"https://127.0.0.1:{port}"
        more = {**known, "jwksURL": f"{base}/.well-known/jwks.json"}
        all_of_them[way] = world.client(f"{base}/oauth/token", scene.files, **more)
    return all_of_them


def column(scene, tenant, folder):
    """The verdict on each condition, and what there is to say of it."""
    with contextlib.ExitStack() as stack:
        try:
            scene.libraries.get(folder)
            live = stack.enter_context(tenants.Tenant(scene.files, address=(world.LIVE, 0)))
            port = live.address[1]
            stack.enter_context(tenants.dead((world.DEAD, port)))
            settings = clients(scene, tenant, f"https://{world.NAME}:{port}/token")
            scene.broker = stack.enter_context(scene.another(settings))
            scene.path = scene.broker.path("http1")
        except Skipped as reason:
            return {name: ("skipped", str(reason)) for name in CONDITIONS}
        except (RuntimeError, libraries.Unexpected) as error:
            return {name: ("FAILED", str(error)) for name in CONDITIONS}
        return {name: verdict(scene, name, condition) for name, condition in CONDITIONS.items()}


def verdict(scene, name, condition):
    known = KNOWN.get((scene.libraries.name, name))
    try:
        condition(scene)
    except Skipped as reason:
        return "skipped", str(reason)
    except Wrong as difference:
        return ("known", known) if known else ("FAILED", str(difference))
    except Exception:
        return "FAILED", traceback.format_exc()
    return ("FAILED", f"no longer so: {known}") if known else ("ok", scene.notes.get(name))


def play(executable, tenant, folder, sets):
    """The columns of the table, each as soon as it is known."""
    with tempfile.TemporaryDirectory() as temporary, contextlib.ExitStack() as stack:
        place = pathlib.Path(temporary)
        place.chmod(0o755)
        (place / "files").mkdir()
        files = world.make_certificates(place / "files")
        count = world.AUDIENCES * (len(world.WAYS) + 1)
        real, nginx = stack.enter_context(world.tenant_before(tenant, place, files, count))
        prefix, no_namespace = world.namespace(place)
        for one in sets:
            started = time.monotonic()
            with tenants.Holding(files) as held:
                scene = Scene(executable, one, files, place, nginx, held, prefix, no_namespace)
                yield one.name, column(scene, real, folder), scene.told, time.monotonic() - started


def refused(executable, folder):
    """The verdict on a libcurl that cannot be used."""
    try:
        wrong_kind(executable, libraries.gnutls(folder))
    except Skipped as reason:
        return "skipped", str(reason)
    except (Wrong, subprocess.TimeoutExpired) as difference:
        return "FAILED", str(difference)
    return "ok", None


def table(rows):
    """Words in columns."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join("  ".join(word.ljust(width) for word, width in zip(row, widths)).rstrip() for row in rows)


def main():
    executable, tenant, folder = (pathlib.Path(argument).resolve() for argument in sys.argv[1:4])
    wanted = set(sys.argv[4:])
    sets = libraries.listed()
    if unknown := wanted - {one.name for one in sets}:
        sys.exit(f"there is no {', '.join(sorted(unknown))}")
    folder.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that children are ended
    names = ["libcurl", "OpenSSL", "nghttp2"]
    columns, everything = [["libraries", *names, *CONDITIONS]], []
    chosen = [one for one in sets if one.name in wanted or not wanted]
    for name, verdicts, told, seconds in play(executable, tenant, folder, chosen):
        print(f"{name}: {seconds:.1f} s", flush=True)
        for word, why in sorted(set(verdicts.values()), key=str):
            if why:
                those = [condition for condition, verdict in verdicts.items() if verdict == (word, why)]
                print(f"  {word}  {those[0] if len(those) == 1 else 'all of it'}: {why}", flush=True)
        words = [word for word, _ in verdicts.values()]
        columns.append([name, *(told.get(library, "-") for library in names), *words])
        everything += words
    word, why = refused(executable, folder)
    everything.append(word)
    print(f"a libcurl with GnuTLS is refused: {word}{f', {why}' if why else ''}")
    print(table(list(zip(*columns))))
    print(", ".join(f"{everything.count(word)} {word}" for word in ("ok", "known", "skipped", "FAILED")))
    sys.exit("FAILED" in everything or "ok" not in everything)


main()
