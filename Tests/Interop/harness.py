"""What every server and the broker before it are put through: a token, the cache, what is wrong."""

import base64
import json
import re
import urllib.parse

from processes import Process, ask, write
from tenant import WRONG_ISSUER, WRONG_SECRET, error_word


class Broker(Process):
    def __init__(self, executable, place, configuration):
        file = write(place / "token-broker.yaml", configuration)
        settings = {"BROKER_LISTEN": "127.0.0.1:0", "BROKER_ADMIN_LISTEN": "127.0.0.1:0", "BROKER_LOG_FORMAT": "json"}
        super().__init__("token-broker", [executable, "serve", "--config", file], place, settings)

    def start(self):
        super().start()
        pattern = re.compile(r'.*"message":"serving".*\n')
        line = self.wait("line that says 'serving'", lambda: pattern.search(self.log.read_text()))
        serving = json.loads(line[0])
        self.url, self.admin_url = (f"http://{serving[name]}" for name in ("addresses", "admin"))

    def token(self, audience, scope=None):
        """Status, error word and body of the answer."""
        query = f"?scope={urllib.parse.quote(scope)}" if scope else ""
        status, text = ask(f"{self.url}/token/{urllib.parse.quote(audience, safe='')}{query}")
        return status, error_word(text), json.loads(text)

    def mints(self):
        """How many tokens it has had of the server as the client that is as it should be."""
        _, text = ask(f"{self.admin_url}/metrics")
        return int(re.search(r'^token_broker_tokens_minted_total\{client="server"\} (\d+)', text, re.M)[1])


def kind(token):
    """The algorithm that a JWT is signed with, or that it is opaque."""
    header, *rest = token.split(".")
    if len(rest) != 2:
        return "opaque"
    return json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))["alg"]


class Examination:
    def __init__(self, expected, tenant, broker, verdicts):
        self.expected, self.tenant, self.broker = expected, tenant, broker
        self.verdicts, self.expect = verdicts, verdicts.expect

    def play(self):
        self.tokens()
        self.wrong_clients()
        self.scopes()
        if self.verdicts.failures:
            print(self.broker.tail(), flush=True)

    def expect_token(self, what, expected, audience, scope=None):
        *actual, answer = self.broker.token(audience, scope)
        self.expect(what, expected, tuple(actual))
        return answer

    def tokens(self):
        first = self.expect_token("a token", self.expected.answer, self.tenant.audience)
        if "access_token" not in first:
            return
        self.expect("its kind", self.expected.kind, kind(first["access_token"]))
        # Some seconds of it may have passed.
        self.expect("its lifetime in whole minutes", self.expected.lifetime, -(-first["expires_in"] // 60) * 60)
        second = self.expect_token("a token again", (200, None), self.tenant.audience)
        self.expect("it is the same", True, first["access_token"] == second.get("access_token"))
        self.expect("mints for both", 1, self.broker.mints())

    def wrong_clients(self):
        refusal = self.expected.wrong_secret
        self.expect("wrong secret, says the server", refusal.server, self.tenant.ask(secret="wrong"))
        self.expect_token("wrong secret, says the broker", refusal.broker, WRONG_SECRET)
        if self.tenant.jwks_url:
            self.expect_token("wrong issuer, says the broker", (502, "token_validation_failed"), WRONG_ISSUER)
        for method, answer in self.expected.methods.items():
            self.expect_token(f"{method}, says the broker", answer, method)

    def scopes(self):
        for scope, refusal in self.expected.scopes.items():
            self.expect(f"scope '{scope}', says the server", refusal.server, self.tenant.ask(scope=scope))
            self.expect_token(f"scope '{scope}', says the broker", refusal.broker, self.tenant.audience, scope)


def play(_, server, executable, folder, place, verdicts):
    """Puts a server and the broker before it through all of it."""
    with server.serve(folder, place) as tenant:
        with Broker(executable, place, tenant.configuration(server.EXPECTED.methods)) as broker:
            Examination(server.EXPECTED, tenant, broker, verdicts).play()
