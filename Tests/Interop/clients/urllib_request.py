"""Python's own, which sends credentials when it is challenged for them."""

import json
import urllib.error
import urllib.parse
import urllib.request

from client_process import named

NAME = "urllib.request of Python 3.11"
REQUIRES = "Python 3.11.", "/usr/bin/python3", "--version"
HTTPS = False
AUDIENCE = "form"
EXPECTED = {
    "token": ("a token", [200, 401]),
    "wrong key": ("HTTPError: HTTP Error 401: Unauthorized", [401, 401]),
    "refused": ("HTTPError: HTTP Error 400: Bad Request", [400, 401]),
    "busy": ("HTTPError: HTTP Error 429: Too Many Requests; Retry-After", [401, 429]),
    "away": ("HTTPError: HTTP Error 503: Service Unavailable; Retry-After", [401, 503]),
}


def ask(url, caller, key, audience):
    passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    passwords.add_password(None, url, caller, key)
    opener = urllib.request.build_opener(urllib.request.HTTPBasicAuthHandler(passwords))
    form = {"grant_type": "client_credentials", "audience": audience}
    with opener.open(f"{url}/oauth/token", urllib.parse.urlencode(form).encode()) as answer:
        return json.load(answer)["access_token"]


def see(error):
    return named(error, getattr(error, "headers", None))
