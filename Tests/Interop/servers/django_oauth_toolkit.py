"""Django OAuth Toolkit, in the least of a Django project (apps/django_project.py)."""

import contextlib
import pathlib

from packages import install
from processes import Process, free_port
from tenant import Expectation, Refusal, Tenant, client_of

NAME = "Django OAuth Toolkit 3.4.1"
EXPECTED = Expectation(
    kind="opaque",
    lifetime=36000,
    wrong_secret=Refusal(server=(401, "invalid_client"), broker=(502, "broker_misconfigured")),
    scopes={"interop-unknown": Refusal(server=(400, "invalid_scope"), broker=(403, "audience_not_granted"))},
    methods={"client_secret_post": (200, None)},
)
PROJECT = pathlib.Path(__file__).parents[1] / "apps/django_project.py"


@contextlib.contextmanager
def serve(folder, place):
    environment = install("django_oauth_toolkit", folder)
    port = free_port()
    client_id, secret = "token-broker", "s3cr3t: +&%/"
    command = [environment / "bin/python", PROJECT, port, client_id, secret]
    with Process("django", command, place, port=port):
        yield Tenant(
            token_url=f"http://127.0.0.1:{port}/o/token/",
            scope="read",
            client=client_of(f"http://127.0.0.1:{port}/o", client_id, secret, "client_secret_basic"),
        )
