"""A server as the broker's tenant, and what both are expected to say."""

import base64
import dataclasses
import json
import urllib.parse

from processes import ask

# For each there is a client whose configuration differs in one thing from that of the client `server`.
WRONG_SECRET, WRONG_ISSUER = "wrong-secret", "wrong-issuer"


@dataclasses.dataclass
class Refusal:
    """A status and an error word each, or no word: what the server itself answers, and what the broker makes of it."""

    server: tuple
    broker: tuple


@dataclasses.dataclass
class Expectation:
    kind: str  # of token: "opaque", or the algorithm that it is signed with
    lifetime: int  # in seconds
    wrong_secret: Refusal
    scopes: dict  # a Refusal for each scope that is asked for
    methods: dict  # what the broker answers by `authMethod`, where that is not the one of the tenant
    answer: tuple = (200, None)  # of the broker, for a token


def client_of(issuer, client_id, secret, method, **more):
    """One of the broker's `clients`."""
    client = {"provider": "oauth2", "issuer": issuer, "clientId": client_id, "clientSecret": secret, "authMethod": method}
    return {**client, **more}


@dataclasses.dataclass
class Tenant:
    token_url: str
    client: dict  # `client_of`
    audience: str = "https://api.example.com/"
    scope: str | None = None
    jwks_url: str | None = None  # for a server of JWTs

    def configuration(self, methods):
        clients = {"server": self.client, WRONG_SECRET: {**self.client, "clientSecret": "wrong"}}
        clients |= {method: {**self.client, "authMethod": method, "checkAudience": False} for method in methods}
        if self.jwks_url:
            urls = {"tokenURL": self.token_url, "jwksURL": self.jwks_url, "issuer": "http://127.0.0.1:1"}
            clients[WRONG_ISSUER] = {**self.client, **urls, "checkAudience": False}
        common = {"verify": "jwt" if self.jwks_url else "opaque"} | ({"scope": self.scope} if self.scope else {})
        audiences = [
            {"audience": self.audience if client == "server" else client, "client": client, **common}
            for client in clients
        ]
        return json.dumps({"clients": clients, "audiences": audiences})  # JSON is YAML, too.

    def ask(self, secret=None, scope=None):
        """Status and error word of the server's own answer to the request that the broker makes."""
        form = {"grant_type": "client_credentials"}
        if scope or self.scope:
            form["scope"] = scope or self.scope
        if self.client.get("audienceParameter") != "none":
            form["audience"] = self.audience
        pair = self.client["clientId"], secret or self.client["clientSecret"]
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        if self.client["authMethod"] == "client_secret_basic":
            text = ":".join(urllib.parse.quote(part, safe="") for part in pair)
            headers["Authorization"] = "Basic " + base64.b64encode(text.encode()).decode()
        else:
            form["client_id"], form["client_secret"] = pair
        status, text = ask(self.token_url, urllib.parse.urlencode(form).encode(), headers)
        return status, error_word(text)


def error_word(text):
    try:
        return json.loads(text).get("error")
    except json.JSONDecodeError:
        return None
