"""Clients that others wrote, a module each: what asks for a token, and what its user and the broker then see.

A module has NAME with its version, HTTPS (whether it takes nothing else), AUDIENCE (where it names one), `ask`, and
EXPECTED with what is seen in each case and the statuses of the broker's answers. It may have REQUIRES with the version
that is expected and the command that tells it, `prepare`, `see` for what is raised, OTHERS for cases that are asked
otherwise, COMMAND where people would type one, and SOURCE where the client is no Python. What it imports beside Python's
own is pinned in requirements/clients.
"""

NAMES = [
    "auth0_python", "msal_python", "azure_identity", "requests_oauthlib", "requests_oauth2client", "httpx_auth",
    "authlib_requests", "authlib_httpx", "google_auth", "niquests", "go_oauth2", "java_httpclient", "urllib_request",
    "wget", "curl",
]
