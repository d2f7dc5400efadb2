"""Its `Authenticator` is asked when the server has challenged. A refused key is sent four times, and then an exception
is all there is: send `Authorization` yourself where that matters."""

import json
import os
import pathlib

from client_process import output
from packages import run

NAME = "java.net.http.HttpClient of Java 17"
REQUIRES = "javac 17.", "javac", "--version"
HTTPS = False
AUDIENCE = "form"
EXPECTED = {
    "token": ("a token", [200, 401]),
    "wrong key": ("java.io.IOException: too many authentication attempts. Limit: 3", [401, 401, 401, 401, 401]),
    "refused": (
        '400 {"error":"unauthorized_client","error_description":"the caller may not have this audience"}',
        [400, 401],
    ),
    "busy": (
        '429 (Retry-After) {"error":"temporarily_unavailable","error_description":"the caller asks too '
        'often"}',
        [401, 429],
    ),
    "away": (
        '503 (Retry-After) {"error":"temporarily_unavailable","error_description":"the tenant says that '
        'it cannot answer now"}',
        [401, 503],
    ),
}
SOURCE = pathlib.Path(__file__).parents[1] / "apps/JavaCaller.java"


def prepare(folder):
    run("javac", "--release", "17", "-d", folder, SOURCE)


def ask(url, caller, key, audience):
    answer = output("java", "-cp", os.environ["PREPARED"], "JavaCaller", url, caller, key, audience)
    status, _, body = answer.partition("\n")
    if status != "200":
        raise RuntimeError(answer)
    return json.loads(body)["access_token"]


def see(error):
    return str(error)
