"""It sends credentials only when it is challenged for them, and encodes nothing of what it posts. `Retry-After` means
nothing to it."""

import json
import re

from client_process import shell

NAME = "wget 1.21.3"
REQUIRES = "GNU Wget 1.21.3", "wget", "--version"
HTTPS = False
AUDIENCE = "form"
EXPECTED = {
    "token": ("a token", [200, 401]),
    "wrong key": (
        'status 6: Authentication selected: Bearer realm="token-broker" Username/Password '
        "Authentication Failed.",
        [401, 401],
    ),
    "refused": (
        'status 8: Authentication selected: Bearer realm="token-broker" URL/oauth/token: ERROR 400: Bad '
        "Request.",
        [400, 401],
    ),
    "busy": (
        'status 8: Authentication selected: Bearer realm="token-broker" URL/oauth/token: ERROR 429: Too '
        "Many Requests.",
        [401, 429],
    ),
    "away": (
        'status 8: Authentication selected: Bearer realm="token-broker" URL/oauth/token: ERROR 503: '
        "Service Unavailable.",
        [401, 503],
    ),
}

# wget encodes nothing of what it posts.
COMMAND = """\
wget --no-verbose --output-document=- --user="$CALLER" --password="$KEY" \\
  --post-data="grant_type=client_credentials&audience=$AUDIENCE" "$URL/oauth/token"
"""


def ask(url, caller, key, audience):
    return json.loads(shell(COMMAND, url, caller, key, audience))["access_token"]


def see(error):
    # The first word is the time.
    return f"status {error.returncode}: {re.sub(r'(?m)^[-0-9]+ [0-9:]+ ', '', error.stderr)}"
