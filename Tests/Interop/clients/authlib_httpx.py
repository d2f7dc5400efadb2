"""The same over httpx, with the audience in the URL's path. What is refused is an error of Authlib's, a 5xx one of
httpx's."""

import urllib.parse

from clients.authlib_requests import COMMON

NAME = "Authlib 1.9.10 with httpx 0.28.1"
HTTPS = False
AUDIENCE = "token URL"
EXPECTED = {
    **COMMON,
    "away": (
        "HTTPStatusError: Server error '503 Service Unavailable' for url "
        "'URL/oauth/token/https%3A%2F%2Ftemporarily-unavailable.fault.example.com%2F' "
        "For more information check: https://developer.mozilla.org/en-US/docs/Web/HTTP/Status/503",
        [503],
    ),
}


def ask(url, caller, key, audience):
    from authlib.integrations.httpx_client import OAuth2Client

    endpoint = f"{url}/oauth/token/{urllib.parse.quote(audience, safe='')}"
    with OAuth2Client(
        caller, key, grant_type="client_credentials", token_endpoint=endpoint, leeway=100_000
    ) as client:
        client.fetch_token()
        client.get(f"{url}/healthz")
        return client.token["access_token"]
