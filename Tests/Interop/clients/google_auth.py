"""The broker is the source of the token that is exchanged at Google's (workload identity federation). It takes JSON,
and with `Accept: text/plain` and without `format` the bare token. The error holds the answer."""

import json
import urllib.parse

NAME = "google-auth 2.63.0"
HTTPS = False
AUDIENCE = "path"
EXPECTED = {
    "token": ("a token", [200]),
    "token, as text": ("a token", [200]),
    "wrong key": ("RefreshError: Unable to retrieve Identity Pool subject token: invalid_caller", [401]),
    "refused": ("RefreshError: Unable to retrieve Identity Pool subject token: caller_not_allowed", [403]),
    "busy": ("RefreshError: Unable to retrieve Identity Pool subject token: caller_rate_limited", [429]),
    "away": ("RefreshError: Unable to retrieve Identity Pool subject token: upstream_unavailable", [503]),
}

POOL = {
    "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/broker",
    "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
    "token_url": "https://sts.googleapis.com/v1/token",
}


def ask(url, caller, key, audience):
    from google.auth import identity_pool
    from google.auth.transport.requests import Request

    source = {
        "url": f"{url}/token/{urllib.parse.quote(audience, safe='')}",
        "headers": {"Authorization": f"Bearer {key}"},
        "format": {"type": "json", "subject_token_field_name": "access_token"},
    }
    credentials = identity_pool.Credentials(**POOL, credential_source=source)  # POOL: as Google has it
    return credentials.retrieve_subject_token(Request())


def ask_for_text(url, caller, key, audience):
    from google.auth import identity_pool
    from google.auth.transport.requests import Request

    source = {
        "url": f"{url}/token/{urllib.parse.quote(audience, safe='')}",
        "headers": {"Authorization": f"Bearer {key}", "Accept": "text/plain"},
    }
    return identity_pool.Credentials(**POOL, credential_source=source).retrieve_subject_token(Request())


OTHERS = {"token, as text": ask_for_text}


def see(error):
    """The message, and of the answer that stands behind it what a program would look at."""
    return f"{type(error).__name__}: {error.args[0]}: {json.loads(error.args[1])['error']}"
