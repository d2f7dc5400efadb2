"""Glewlwyd, from Debian's package, with a database of its own. Its tokens are for the scope that is asked for."""

import contextlib
import re
import sqlite3
import subprocess
import urllib.request

from packages import run, unpack
from processes import OPENER, Process, ask_json, free_port, write
from tenant import Expectation, Refusal, Tenant, client_of

NAME = "Glewlwyd 2.7.5"
EXPECTED = Expectation(
    kind="RS256",
    lifetime=3600,
    wrong_secret=Refusal(server=(403, None), broker=(503, "upstream_unavailable")),
    scopes={"interop-unknown": Refusal(server=(400, "scope_invalid"), broker=(403, "audience_not_granted"))},
    # It does not decode what RFC 6749, 2.3.1, has encoded.
    methods={"client_secret_basic": (503, "upstream_unavailable")},
)
VERSION = "2.7.5-3+deb12u1"


def configuration(package, place, port):
    modules, database = package / "usr/lib/glewlwyd", place / "database"
    tables = package / "usr/share/dbconfig-common/data/glewlwyd/install/sqlite3"
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.executescript(tables.read_text())
    kinds = {"user": "user", "client": "client", "user_auth_scheme": "scheme", "plugin": "plugin"}
    lines = [
        f'port={port}', 'bind_address="127.0.0.1"', f'external_url="http://127.0.0.1:{port}"', 'log_mode="console"',
        'log_level="INFO"', 'cookie_domain="127.0.0.1"', 'cookie_secure=0', 'hash_algorithm="SHA512"',
        *(f'{kind}_module_path="{modules / folder}"' for kind, folder in kinds.items()),
        f'user_middleware_module_path="{place}"', f'database={{ type="sqlite3"; path="{database}"; }};',
    ]
    return write(place / "glewlwyd.conf", "\n".join(lines))


def openssl(*arguments, input=None):
    command = ["openssl", *arguments]
    return subprocess.run(command, input=input, text=True, capture_output=True, check=True, timeout=60).stdout


def sign_in(url):
    """The cookie of the administrator, whom the tables come with."""
    body = b'{"username": "admin", "password": "password"}'
    request = urllib.request.Request(f"{url}/api/auth/", body, {"Content-Type": "application/json"})
    with OPENER.open(request, timeout=20) as answer:
        return {"Cookie": re.match(r"[^;]+", answer.headers["Set-Cookie"])[0]}


def set_up(url, client_id, secret):
    key = openssl("genrsa", "2048")
    cookie = sign_in(url)
    ask_json(f"{url}/api/mod/plugin/", {
        "module": "oidc",
        "name": "oidc",
        "display_name": "oidc",
        "parameters": {
            "iss": f"{url}/api/oidc",
            "jwt-type": "rsa",
            "jwt-key-size": "256",
            "key": key,
            "cert": openssl("rsa", "-pubout", input=key),
            "jwks-show": True,
            "access-token-duration": 3600,
            "refresh-token-duration": 3600,
            "code-duration": 600,
            "allow-non-oidc": True,
            "auth-type-client-enabled": True,
        },
    }, cookie)
    ask_json(f"{url}/api/scope/", {"name": "orders"}, cookie)
    ask_json(f"{url}/api/client/", {
        "client_id": client_id,
        "name": "token-broker",
        "confidential": True,
        "enabled": True,
        "client_secret": secret,
        "authorization_type": ["client_credentials"],
        "token_endpoint_auth_method": ["client_secret_basic", "client_secret_post"],
        "scope": ["orders"],
    }, cookie)


@contextlib.contextmanager
def serve(folder, place):
    package = unpack("glewlwyd", VERSION, folder)
    program = package / "usr/bin/glewlwyd"
    run(program, "--version")  # It is skipped where its libraries are not installed.
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    client_id, secret = "token-broker", "s3cr3t+/="
    command = [program, f"--config-file={configuration(package, place, port)}"]
    with Process("glewlwyd", command, place, port=port):
        set_up(url, client_id, secret)
        yield Tenant(
            token_url=f"{url}/api/oidc/token",
            jwks_url=f"{url}/api/oidc/jwks",
            audience="orders",
            scope="orders",
            client=client_of(
                f"{url}/api/oidc", client_id, secret, "client_secret_post", audienceParameter="none"),
        )
