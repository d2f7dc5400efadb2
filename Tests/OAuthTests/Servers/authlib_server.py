"""An OAuth 2.0 authorization server made of Authlib and Flask: what answers here was not written for this broker.

It serves plain HTTP and, where a certificate is asked of clients, HTTPS on ephemeral loopback ports and prints both as a
line of JSON. Its one argument is a directory with the PEM files it needs. It ends when the program that started it does,
or after five minutes, and takes the directory with it.
"""

import json
import os
import secrets
import shutil
import ssl
import sys
import threading
import time

os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"  # plain HTTP, on loopback only

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.common.encoding import urlsafe_b64encode
from authlib.jose import JsonWebKey, JsonWebToken, jwt
from authlib.oauth2.rfc6749 import ClientMixin, OAuth2Error, grants
from authlib.oauth2.rfc7523 import JWTBearerClientAssertion
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from flask import Flask, jsonify, request
from werkzeug.serving import WSGIRequestHandler, make_server

directory = sys.argv[1]
parent = os.getppid()
end = time.monotonic() + 300
app = Flask(__name__)
signing_key = JsonWebKey.generate_key("RSA", 2048, {"kid": "authlib-1", "use": "sig"}, is_private=True)
edwards_key = JsonWebKey.generate_key("OKP", "Ed25519", {"kid": "authlib-2", "use": "sig"}, is_private=True)
audiences = {"https://api.example.com/", "https://ledger.example.com"}
seen = set()


def pem(name):
    with open(os.path.join(directory, name), "rb") as file:
        return file.read()


class Client(ClientMixin):
    def __init__(self, client_id, method, secret=None, public_key=None):
        self.client_id = client_id
        self.method = method
        self.secret = secret
        self.public_key = public_key

    def get_client_id(self):
        return self.client_id

    def get_allowed_scope(self, scope):
        return " ".join(word for word in scope.split() if word in ("read", "write"))

    def check_client_secret(self, client_secret):
        return self.secret is not None and secrets.compare_digest(self.secret.encode(), client_secret.encode())

    def check_endpoint_auth_method(self, method, endpoint):
        return method == self.method

    def check_grant_type(self, grant_type):
        return grant_type == "client_credentials" and self.client_id != "ungranted"


clients = {
    client.client_id: client
    for client in [
        Client("poster", "client_secret_post", "p+&%= \u00e9:~/\""),
        Client("basic", "client_secret_basic", "s3cr3t-._~"),
        Client("ungranted", "client_secret_basic", "s3cr3t"),
        Client("rsa", "private_key_jwt", public_key=pem("rsa.pub")),
        Client("ec", "private_key_jwt", public_key=pem("ec.pub")),
        Client("tls", "tls_client_auth"),
    ]
}


class InvalidTarget(OAuth2Error):
    error = "invalid_target"


class Grant(grants.ClientCredentialsGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic", "client_secret_post", "private_key_jwt", "tls_client_auth"]

    def validate_token_request(self):
        super().validate_token_request()
        if target() not in audiences:
            raise InvalidTarget()


class Assertion(JWTBearerClientAssertion):
    CLIENT_AUTH_METHOD = "private_key_jwt"

    def validate_jti(self, claims, jti):
        known = jti in seen
        seen.add(jti)
        return not known

    def resolve_client_public_key(self, client, headers):
        return client.public_key


def target():
    return request.form.get("audience") or request.form.get("resource")


def access_token(client, grant_type, user, scope):
    if request.form.get("token_format") == "opaque":
        return secrets.token_urlsafe(32)
    now = int(time.time())
    claims = {
        "iss": app.config["ISSUER"], "sub": client.client_id, "aud": target(), "client_id": client.client_id,
        "iat": now, "exp": now + 3600, "jti": secrets.token_urlsafe(8),
    }
    if request.form.get("token_format") == "without_aud":
        del claims["aud"]
    if request.form.get("token_format") == "EdDSA":
        header = {"alg": "EdDSA", "typ": "at+jwt", "kid": "authlib-2"}
        return JsonWebToken(["EdDSA"]).encode(header, claims, edwards_key).decode()
    if request.form.get("token_format") == "Ed25519":
        # RFC 9864's name is newer than this library, so its key signs what is put together here.
        header = {"alg": "Ed25519", "typ": "at+jwt", "kid": "authlib-2"}
        signed = b".".join(urlsafe_b64encode(json.dumps(part).encode()) for part in (header, claims))
        return (signed + b"." + urlsafe_b64encode(edwards_key.get_op_key("sign").sign(signed))).decode()
    return jwt.encode({"alg": "RS256", "typ": "at+jwt", "kid": "authlib-1"}, claims, signing_key).decode()


def authenticate_by_certificate(query_client, oauth_request):
    """RFC 8705 2.1: the certificate's subject is that of the client. Its signature was verified by the TLS library."""
    certificate = request.environ.get("peer_certificate") or {}
    names = {value for part in certificate.get("subject", ()) for name, value in part if name == "commonName"}
    client_id = oauth_request.form.get("client_id")
    return query_client(client_id) if client_id in names else None


class Handler(WSGIRequestHandler):
    def make_environ(self):
        environ = super().make_environ()
        if isinstance(self.connection, ssl.SSLSocket):
            environ["peer_certificate"] = self.connection.getpeercert()
        return environ

    def log_request(self, *arguments):
        pass


@app.post("/oauth2/token")
def token():
    return server.create_token_response()


@app.get("/oauth2/keys")
def keys():
    return jsonify({"keys": [key.as_dict(is_private=False) for key in (signing_key, edwards_key)]})


@app.get("/.well-known/oauth-authorization-server/oauth2")
def metadata():
    issuer = app.config["ISSUER"]
    return jsonify(AuthorizationServerMetadata({
        "issuer": issuer, "token_endpoint": issuer + "/token", "jwks_uri": issuer + "/keys",
        "response_types_supported": [], "grant_types_supported": ["client_credentials"],
        "token_endpoint_auth_methods_supported": Grant.TOKEN_ENDPOINT_AUTH_METHODS,
        "mtls_endpoint_aliases": {"token_endpoint": app.config["MTLS"] + "/oauth2/token"},
    }))


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(os.path.join(directory, "server.crt"), os.path.join(directory, "server.key"))
context.load_verify_locations(os.path.join(directory, "ca.crt"))
context.verify_mode = ssl.CERT_REQUIRED

plain = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Handler)
mutual = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Handler, ssl_context=context)
app.config["ISSUER"] = f"http://127.0.0.1:{plain.server_port}/oauth2"
app.config["MTLS"] = f"https://127.0.0.1:{mutual.server_port}"
app.config["OAUTH2_SCOPES_SUPPORTED"] = ["read", "write"]
app.config["OAUTH2_ACCESS_TOKEN_GENERATOR"] = __name__ + ".access_token"
app.config["OAUTH2_TOKEN_EXPIRES_IN"] = {"client_credentials": 3600}
server = AuthorizationServer(app, clients.get, lambda token, request: None)
server.register_grant(Grant)
server.register_client_auth_method("private_key_jwt", Assertion(app.config["ISSUER"] + "/token"))
server.register_client_auth_method("tls_client_auth", authenticate_by_certificate)

threading.Thread(target=plain.serve_forever, daemon=True).start()
threading.Thread(target=mutual.serve_forever, daemon=True).start()
print(json.dumps({"issuer": app.config["ISSUER"], "mutual": app.config["MTLS"]}), flush=True)
while os.getppid() == parent and time.monotonic() < end:
    time.sleep(0.5)
shutil.rmtree(directory, ignore_errors=True)
