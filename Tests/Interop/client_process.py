"""Plays one client's cases, in the interpreter that has what the client needs, and says what its user sees.

Usage: client_process.py NAME FACTS

FACTS is a JSON object about the broker. The answer is one, too: for each case what is seen, and the statuses of the
broker's answers to it.
"""

import base64
import collections
import importlib
import json
import os
import re
import subprocess
import sys
import urllib.parse

from processes import ask


class Case:
    def __init__(self, client, facts, caller, key, audience, scope):
        self.client, self.facts, self.caller, self.key = client, facts, caller, key
        self.audience, self.scope = audience, scope
        self.url = facts["https" if client.HTTPS else "http"]

    def play(self, function):
        """What the user of the client sees: a token for the audience, or what is raised."""
        wanted = self.scope if self.client.AUDIENCE == "none" else self.audience
        try:
            token = function(self.url, self.caller, self.key, wanted)
        except Exception as error:
            see = getattr(self.client, "see", lambda error: f"{type(error).__name__}: {error}")
            return self.constant(see(error))
        return "a token" if self.audience in audiences(token) else f"no token, but {token!r}"

    def constant(self, text):
        """Without line breaks, and what is different each time."""
        text = " ".join(text.split()).replace(self.url, "URL")
        return re.sub(r'(?<="request_id":")[^"]*', "…", text)

    def exhaust(self):
        """Has the caller ask until it is over its limit."""
        form = {"grant_type": "client_credentials", "audience": self.audience}
        form |= {"client_id": self.caller, "client_secret": self.key}
        while ask(f"{self.facts['http']}/oauth/token", urllib.parse.urlencode(form).encode())[0] == 200:
            pass

    def answers(self):
        """How many answers of each status the broker has given."""
        _, text = ask(f"{self.facts['admin']}/metrics")
        counts = collections.Counter()
        pattern = r'^token_broker_http_requests_total\{route="([^"]*)",status="(\d+)"\} (\d+)'
        for route, status, count in re.findall(pattern, text, re.M):
            if route.startswith(("/oauth", "/token", "/.well-known")):
                counts[int(status)] += int(count)
        return counts


def output(*command, **variables):
    """What a program writes to standard output."""
    return subprocess.run(
        command, env={**os.environ, **variables}, capture_output=True, text=True, check=True).stdout


def shell(command, url, caller, key, audience):
    """The same for a command that people would type."""
    return output("bash", "-c", command, URL=url, CALLER=caller, KEY=key, AUDIENCE=audience)


def named(error, headers):
    """What a user sees who looks at the error, and for the field that says when to ask again."""
    return f"{type(error).__name__}: {error}{'; Retry-After' if 'Retry-After' in (headers or ()) else ''}"


def audiences(token):
    parts = token.split(".")
    if len(parts) != 3 or token != token.strip():
        return []
    claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    return claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]


def main():
    client, facts = importlib.import_module(f"clients.{sys.argv[1]}"), json.loads(sys.argv[2])
    results = {}
    for name in client.EXPECTED:
        # Those that have a function of their own are this case, asked otherwise.
        kind = next(kind for kind in facts["cases"] if name.startswith(kind))
        case = Case(client, facts, **facts["cases"][kind])
        if kind == "busy":
            case.exhaust()
        before = case.answers()
        seen = case.play(getattr(client, "OTHERS", {}).get(name, client.ask))
        results[name] = [seen, sorted((case.answers() - before).elements())]
    print(json.dumps(results))


if __name__ == "__main__":
    main()
