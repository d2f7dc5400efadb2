"""The audience is in the token URL, so that it needs no `EndpointParams`. Without an `AuthStyle` it sends every request
that is refused a second time, with the secret in the form."""

import os
import pathlib

from client_process import output
from packages import run

NAME = "golang.org/x/oauth2 0.3.0"
REQUIRES = "0.3.0", "dpkg-query", "--show", "--showformat", "${Version}", "golang-golang-x-oauth2-dev"
HTTPS = False
AUDIENCE = "token URL"
EXPECTED = {
    "token": ("a token", [200]),
    "wrong key": (
        "oauth2: cannot fetch token: 401 Unauthorized Response: "
        '{"error":"invalid_client","error_description":"nobody with this client id and secret may have '
        'this"}',
        [401, 401],
    ),
    "refused": (
        "oauth2: cannot fetch token: 400 Bad Request Response: "
        '{"error":"unauthorized_client","error_description":"the caller may not have this audience"}',
        [400, 400],
    ),
    "busy": (
        "oauth2: cannot fetch token: 429 Too Many Requests Response: "
        '{"error":"temporarily_unavailable","error_description":"the caller asks too often"}',
        [429, 429],
    ),
    "away": (
        "oauth2: cannot fetch token: 503 Service Unavailable Response: "
        '{"error":"temporarily_unavailable","error_description":"the tenant says that it cannot answer '
        'now"}',
        [503, 503],
    ),
}
SOURCE = pathlib.Path(__file__).parents[1] / "apps/x_oauth2.go"


def prepare(folder):
    settings = {"GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOCACHE": folder / "go-cache", "GOFLAGS": ""}
    run("env", *(f"{name}={value}" for name, value in settings.items()),
        "go", "build", "-o", folder / "x_oauth2", SOURCE)


def ask(url, caller, key, audience):
    return output(f"{os.environ['PREPARED']}/x_oauth2", url, caller, key, audience)


def see(error):
    return error.stderr
