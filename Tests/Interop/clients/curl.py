"""With `--anyauth` it looks for what the server offers; `--user` alone sends Basic at once. With `--retry` it waits as
`Retry-After` says; then it wants `--fail` or `--output`."""

import json

from client_process import shell

NAME = "curl 7.88.1"
REQUIRES = "curl 7.88.1", "curl", "--version"
HTTPS = False
AUDIENCE = "form"
EXPECTED = {
    "token": ("a token", [200, 401]),
    "wrong key": ("status 22: curl: (22) The requested URL returned error: 401", [401, 401]),
    "refused": ("status 22: curl: (22) The requested URL returned error: 400", [400, 401]),
    "busy": ("status 22: curl: (22) The requested URL returned error: 429", [401, 429]),
    "busy, --retry 2": ("a token", [200, 401, 429]),
    "away": ("status 22: curl: (22) The requested URL returned error: 503", [401, 503]),
}

COMMAND = """\
curl --silent --show-error --fail --anyauth --user "$CALLER:$KEY" \\
  --data grant_type=client_credentials --data-urlencode "audience=$AUDIENCE" "$URL/oauth/token"
"""


def ask(url, caller, key, audience, command=COMMAND):
    return json.loads(shell(command, url, caller, key, audience))["access_token"]


def ask_again(*arguments):
    return ask(*arguments, COMMAND.replace("curl", "curl --retry 2", 1))


def see(error):
    return f"status {error.returncode}: {error.stderr or error.stdout}"


OTHERS = {"busy, --retry 2": ask_again}
