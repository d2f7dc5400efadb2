"""A server made of Authlib and Flask (apps/authlib_server.py): JWTs of RFC 9068 for the audience that is asked for."""

import contextlib
import pathlib

from packages import install
from processes import Process, free_port
from tenant import Expectation, Refusal, Tenant, client_of

NAME = "Authlib 1.9.10"
EXPECTED = Expectation(
    kind="ES256",
    lifetime=864000,
    wrong_secret=Refusal(server=(401, "invalid_client"), broker=(502, "broker_misconfigured")),
    scopes={"interop-unknown": Refusal(server=(400, "invalid_scope"), broker=(403, "audience_not_granted"))},
    methods={"client_secret_basic": (200, None)},
)
SERVER = pathlib.Path(__file__).parents[1] / "apps/authlib_server.py"


@contextlib.contextmanager
def serve(folder, place):
    environment = install("authlib", folder)
    port = free_port()
    issuer, client_id, secret = f"http://127.0.0.1:{port}", "token-broker", "s3cr3t: +&%/"
    command = [environment / "bin/python", SERVER, port, client_id, secret]
    with Process("authlib", command, place, port=port):
        yield Tenant(
            token_url=f"{issuer}/token",
            jwks_url=f"{issuer}/keys",
            scope="read",
            client=client_of(issuer, client_id, secret, "client_secret_post"),
        )
