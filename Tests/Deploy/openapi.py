"""Asks a running broker for every answer that deploy/openapi.yaml describes, and checks each against it.

openapi.py BINARY     runs it with the embedded development tenant, which misbehaves to order; needs PyYAML and jsonschema
"""

import base64
import hashlib
import http.client
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import urllib.parse
import warnings

import yaml

warnings.simplefilter("ignore", DeprecationWarning)
from jsonschema import Draft202012Validator, RefResolver  # noqa: E402

SPEC = yaml.safe_load((pathlib.Path(__file__).parents[2] / "deploy/openapi.yaml").read_text())
KEY, GREEDY = "tb_openapi", "tb_greedy"
CONFIGURATION = """
callers:
  app:
    bearerSHA256: [%s]
    audiences: [https://api.example.com/]
  greedy:
    bearerSHA256: [%s]
    audiences: [https://api.example.com/]
    requestsPerMinute: 1
"""
PLAIN = "log: {level: info}\n"
# Rather than 30 seconds, for the tenant that never answers.
IMPATIENT = "limits: {requestTimeout: 1s}\n"


def resolve(node):
    while "$ref" in node and len(node) == 1:
        target = SPEC
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part.replace("~1", "/").replace("~0", "~")]
        node = target
    return node


class Broker:
    def __init__(self, binary, configuration):
        self.file = tempfile.NamedTemporaryFile("w", suffix=".yaml")
        self.file.write(configuration)
        self.file.flush()
        self.directory = tempfile.TemporaryDirectory()
        self.admin = f"{self.directory.name}/admin"
        environment = {"BROKER_LISTEN": "127.0.0.1:0", "BROKER_ADMIN_LISTEN": f"unix:{self.admin}"}
        # What a sanitizer is told (Tests/Sanitizers/run.sh), and where its symbolizer is.
        told = ["PATH", "LD_PRELOAD", "ASAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS"]
        environment |= {name: os.environ[name] for name in told if name in os.environ}
        self.process = subprocess.Popen(
            [binary, "dev", "--config", self.file.name], env=environment, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True)
        for line in self.process.stdout:
            if found := re.search(r"curl .*http://(127\.0\.0\.1):(\d+)/", line):
                self.address = found[1], int(found[2])
                return
        raise SystemExit("the broker did not start")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        assert self.process.wait(10) == 0
        self.file.close()
        self.directory.cleanup()

    def send(self, operation, method, path, fields, body):
        connection = http.client.HTTPConnection(*self.address, timeout=20)
        # What names a server of its own is on the admin listener.
        if "servers" in SPEC["paths"][operation]:
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.settimeout(20)
            connection.sock.connect(self.admin)
        connection.request(method, path, body, fields)
        response = connection.getresponse()
        return response.status, response.headers, response.read()


def conforms(operation, status, fields, body, method):
    responses = SPEC["paths"][operation][method.lower()]["responses"]
    described = resolve(responses.get(str(status)) or responses["default"])
    for name, header in described.get("headers", {}).items():
        header, value = resolve(header), fields.get(name)
        assert value is not None or not header.get("required"), f"no {name}"
        if value is not None:
            schema = resolve(header["schema"])
            validate(int(value) if schema.get("type") == "integer" else value, schema)
    content = described.get("content")
    if not content or method == "HEAD":
        assert body == b"", body
        return
    kind = fields["Content-Type"].split(";")[0]
    assert kind in content, f"{kind} is none of {list(content)}"
    text = body.decode()
    validate(json.loads(text) if kind.endswith("json") else text, content[kind]["schema"])


def validate(value, schema):
    Draft202012Validator(schema, resolver=RefResolver("", SPEC)).validate(value)


def audience(text):
    return urllib.parse.quote(text, safe="")


def fault(name):
    return f"https://{name}.fault.example.com/"


API = "https://api.example.com/"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/json"}
FRESH = {"Cache-Control": "no-cache"}
BASIC = {"Authorization": "Basic " + base64.b64encode(f"app:{KEY}".encode()).decode()}
BEARER = {"Authorization": f"Bearer {KEY}"}


def lookups(template):
    """What goes for both ways to look up a token: query, fields, status, error."""
    methods = ["GET"] if template.startswith("/token") else ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
    cases = [
        (API, "", {}, 200, None),
        (API, "?scope=read%3Aa&min_ttl=60", {}, 200, None),
        (API, "?min_ttl=4294967295", {}, 200, None),
        (API, "?min_ttl=soon", {}, 400, "invalid_request"),
        (fault("unknown-organization"), "?organization=x", {}, 400, "invalid_request"),
        (API, "?unknown=1", {}, 400, "invalid_request"),
        (API, "?scope=%22", {}, 400, "invalid_scope"),
        ("a\x01", "", {}, 400, "invalid_audience"),
        (fault("not-authorized"), "", {}, 403, "audience_not_granted"),
        (fault("service-not-found"), "", {}, 404, "unknown_audience"),
        (fault("alg-none"), "", {}, 502, "token_validation_failed"),
        (fault("zero-expires-in"), "", {}, 502, "invalid_upstream_response"),
        (fault("rate-limited"), "", {}, 503, "upstream_rate_limited"),
    ]
    for name, query, fields, status, error in cases:
        if template.startswith("/forward-auth") and error:
            status, error = (503 if status in (503, 504) else 502), "no_token"
        for method in methods + ["HEAD"]:
            yield template, method, template.replace("{audience}", audience(name)) + query, fields, None, status, error


def open_cases():
    yield from lookups("/token/{audience}")
    yield from lookups("/forward-auth/{audience}")
    token = "/token/{audience}"
    path = "/token/" + audience(API)
    for accept in ("text/plain", "application/json", "*/*"):
        yield token, "GET", path, {"Accept": accept}, None, 200, None
    yield token, "GET", path, {"Accept": "text/html"}, None, 406, "invalid_request"
    yield token, "GET", path, {"Cache-Control": "no-cache", "X-Rejected-Token": "0" * 64}, None, 200, None
    yield token, "GET", path, {"Cache-Control": "no-cache", "X-Rejected-Token": "0"}, None, 400, "invalid_request"
    yield token, "GET", path, {"Origin": "https://example.com"}, None, 403, "caller_not_allowed"
    for body, status, error in [
        ({"audience": API}, 200, None),
        ({"resource": API, "audience": API, "scope": "read:a"}, 200, None),
        ({}, 400, "invalid_request"),
        ({"audience": API, "scope": '"'}, 400, "invalid_scope"),
        ({"audience": API, "grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"audience": fault("service-not-found")}, 400, "invalid_target"),
        ({"audience": fault("not-authorized")}, 400, "unauthorized_client"),
        ({"audience": fault("alg-none")}, 502, "server_error"),
        ({"audience": fault("rate-limited")}, 503, "temporarily_unavailable"),
    ]:
        body = {"grant_type": "client_credentials", **body}
        yield "/oauth/token", "POST", "/oauth/token", FORM, urllib.parse.urlencode(body), status, error
        yield "/oauth/token", "POST", "/oauth/token", JSON, json.dumps(body), status, error
        yield "/oauth/token", "POST", "/oauth/token", FRESH | JSON, json.dumps(body), status, error
        if name := body.pop("audience", None):
            template, path = "/oauth/token/{audience}", "/oauth/token/" + audience(name)
            yield template, "POST", path, FORM, urllib.parse.urlencode(body), status, error
    query = "/oauth/token?resource=" + audience(API)
    yield "/oauth/token", "POST", query, FORM, "grant_type=client_credentials", 200, None
    yield "/oauth/token", "POST", query, FORM, "grant_type=client_credentials&audience=a", 400, "invalid_request"
    yield "/oauth/token", "POST", query, FORM, "grant_type=client_credentials&other=a", 400, "invalid_request"
    for name in ("oauth-authorization-server", "openid-configuration"):
        template = "/.well-known/" + name
        for method in ("GET", "HEAD"):
            for path in (template, "/tenant" + template, template + "/tenant"):
                yield template, method, path, {}, None, 200, None
        yield template, "GET", template, {"Origin": "https://example.com"}, None, 403, "caller_not_allowed"
    for method in ("DELETE", "POST"):
        tokens, purged = "/tokens/{audience}", "/tokens/" + audience(API)
        yield tokens, method, purged, {}, None, 200, None
        yield tokens, method, purged + "?scope=a", {}, None, 400, "invalid_request"
        yield tokens, method, purged, {"Origin": "null"}, None, 403, "caller_not_allowed"
        yield "/tokens", method, "/tokens?client=default", {}, None, 200, None
        yield "/tokens", method, "/tokens", {}, None, 400, "invalid_request"
        yield "/tokens", method, "/tokens?client=none", {}, None, 404, "not_found"
        yield "/tokens", method, "/tokens?client=default", {"Origin": "null"}, None, 403, "caller_not_allowed"
    retry = "/retry/" + audience(API)
    yield "/retry/{audience}", "POST", retry, {}, None, 200, None
    yield "/retry/{audience}", "POST", "/retry/" + audience(fault("stall")) + "?scope=a", {}, None, 200, None
    yield "/retry/{audience}", "POST", retry + "?client=default", {}, None, 400, "invalid_request"
    yield "/retry/{audience}", "POST", retry, {"Origin": "null"}, None, 403, "caller_not_allowed"
    coded = {**FORM, "Content-Encoding": "gzip"}
    for template in ("/oauth/token", "/oauth/token/{audience}"):
        yield template, "POST", template.replace("{audience}", audience(API)), coded, "a body", 415, "invalid_request"
    for method in ("GET", "HEAD"):
        yield "/", method, "/", {}, None, 302, None
    # Last, when all kinds of things have happened.
    for path in ("/healthz", "/readyz", "/status", "/status.json"):
        for method in ("GET", "HEAD"):
            yield path, method, path, {}, None, 200, None


def refused_cases():
    """A broker whose credentials are refused is not ready, and asks for nothing more for a while."""
    bad = fault("bad-credentials")
    for template, method in (("/token/{audience}", "GET"), ("/forward-auth/{audience}", "PUT")):
        error = "no_token" if template.startswith("/forward-auth") else "broker_misconfigured"
        yield template, method, template.replace("{audience}", audience(bad)), {}, None, 502, error
    for method in ("GET", "HEAD"):
        yield "/readyz", method, "/readyz", {}, None, 503, None
    yield "/status.json", "GET", "/status.json", {}, None, 200, None


def closed_cases():
    for template in ("/token/{audience}", "/forward-auth/{audience}"):
        for method in SPEC["paths"][template]:
            if method in ("parameters", "description"):
                continue
            path = template.replace("{audience}", audience(API))
            tells = template.startswith("/token")
            denied = (401, "invalid_caller") if tells else (502, "no_token")
            yield template, method.upper(), path, {}, None, *denied
            yield template, method.upper(), path, BEARER, None, 200, None
            denied = (403, "caller_not_allowed") if tells else (502, "no_token")
            yield template, method.upper(), path + "x", BEARER, None, *denied
    yield "/status.json", "GET", "/status.json", {}, None, 200, None
    body = urllib.parse.urlencode({"grant_type": "client_credentials", "audience": API})
    yield "/oauth/token", "POST", "/oauth/token", FORM, body, 401, "invalid_client"
    yield "/oauth/token", "POST", "/oauth/token", {**FORM, **BASIC}, body, 200, None
    yield "/oauth/token", "POST", "/oauth/token", {**FORM, **BASIC}, body + "x", 400, "unauthorized_client"
    yield "/oauth/token", "POST", "/oauth/token", {**FORM, **BASIC}, "grant_type=client_credentials", 200, None
    for name in ("oauth-authorization-server", "openid-configuration"):
        template = "/.well-known/" + name
        yield template, "GET", template, {}, None, 200, None
        yield template, "GET", template, {"Host": "example.com"}, None, 404, "not_found"
    template, path, body = "/oauth/token/{audience}", "/oauth/token/" + audience(API), "grant_type=client_credentials"
    yield template, "POST", path, FORM, body, 401, "invalid_client"
    greedy = {"Authorization": f"Bearer {GREEDY}"}
    template, path = "/token/{audience}", "/token/" + audience(API)
    yield template, "HEAD", path, greedy, None, 200, None
    yield template, "GET", path, greedy, None, 429, "caller_rate_limited"
    for template in ("/oauth/token", "/oauth/token/{audience}"):
        path = template.replace("{audience}", audience(API))
        yield template, "POST", path, {**FORM, **greedy}, body, 429, "temporarily_unavailable"


def impatient_cases():
    for template, query in (("/token/{audience}", ""), ("/forward-auth/{audience}", "?scope=read%3Aa")):
        path = template.replace("{audience}", audience(fault("stall"))) + query
        timeout = (504, "upstream_timeout") if template.startswith("/token") else (503, "no_token")
        yield template, "GET", path, {}, None, *timeout
    body = {"grant_type": "client_credentials", "audience": fault("stall"), "scope": "another"}
    for template in ("/oauth/token", "/oauth/token/{audience}"):
        path = template.replace("{audience}", audience(fault("stall")))
        yield template, "POST", path, JSON, json.dumps(body), 504, "server_error"


def main(binary):
    shown, failures = set(), 0
    closed = CONFIGURATION % tuple(hashlib.sha256(key.encode()).hexdigest() for key in (KEY, GREEDY))
    for configuration, cases in (
        (PLAIN, open_cases()), (PLAIN, refused_cases()), (closed, closed_cases()), (IMPATIENT, impatient_cases())
    ):
        with Broker(binary, configuration) as broker:
            for operation, method, path, fields, body, status, error in cases:
                answered, answer, content = broker.send(operation, method, path, fields, body)
                try:
                    assert answered == status, f"{answered} instead of {status}: {content}"
                    if error and method != "HEAD":
                        assert json.loads(content)["error"] == error, f"no {error}: {content}"
                    conforms(operation, status, answer, content, method)
                    shown.add((operation, method.lower(), str(status)))
                except Exception as problem:
                    failures += 1
                    print(f"{method} {path}: {str(problem)[:600]}")
    # The other methods of /forward-auth share their answers with GET.
    described = {
        (path, method, status)
        for path, item in SPEC["paths"].items() for method, operation in item.items() if isinstance(operation, dict)
        for status in operation.get("responses", {}) if status != "default"
        if not path.startswith("/forward-auth") or method == "get"
    }
    for path, method, status in sorted(described - shown):
        failures += 1
        print(f"described, but never seen: {method.upper()} {path}: {status}")
    print(f"{len(shown)} kinds of answers seen, {len(described)} described, {failures} failures")
    return 1 if failures else 0


sys.exit(main(sys.argv[1]))
