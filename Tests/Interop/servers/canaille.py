"""Canaille, under Hypercorn and with its store in memory, where the client registers itself."""

import contextlib

from packages import install
from processes import Process, ask_json, free_port
from tenant import Expectation, Refusal, Tenant, client_of

NAME = "Canaille 0.3.6"
EXPECTED = Expectation(
    kind="opaque",
    lifetime=864000,
    wrong_secret=Refusal(server=(401, "invalid_client"), broker=(502, "broker_misconfigured")),
    # It gives a token without the scope, and leaves `scope` out of its answer.
    scopes={"interop-unknown": Refusal(server=(200, None), broker=(200, None))},
    methods={"client_secret_post": (502, "broker_misconfigured")},
)


@contextlib.contextmanager
def serve(folder, place):
    environment = install("canaille", folder)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    settings = {"SECRET_KEY": "interop", "CANAILLE_OIDC__DYNAMIC_CLIENT_REGISTRATION_OPEN": "true"}
    # With no workers it serves in its first process.
    options = ["--workers", "0", "--bind", f"127.0.0.1:{port}"]
    command = [environment / "bin/python", "-m", "hypercorn", *options, "canaille.hypercorn.app:create_app()"]
    with Process("canaille", command, place, settings, port):
        client = ask_json(f"{url}/oauth/register", {
            "client_name": "token-broker",
            "client_uri": url,
            "redirect_uris": [url],
            "grant_types": ["client_credentials"],
            "token_endpoint_auth_method": "client_secret_basic",
            "scope": "profile",
        })
        yield Tenant(
            token_url=f"{url}/oauth/token",
            scope="profile",
            client=client_of(f"{url}/", client["client_id"], client["client_secret"], "client_secret_basic"),
        )
