"""An OAuth server of Authlib and Flask with one client, which serves until it is ended.

Usage: authlib_server.py PORT CLIENT_ID SECRET
"""

import os
import secrets
import sys

os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"  # plain HTTP, on loopback only

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import ClientMixin, grants
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from authlib.oauth2.rfc9068 import JWTBearerTokenGenerator
from flask import Flask, request
from joserfc.jwk import ECKey
from werkzeug.serving import make_server

port, client_id, secret = sys.argv[1:]
issuer = f"http://127.0.0.1:{port}"
key = ECKey.generate_key("P-256", {"kid": "1", "use": "sig", "alg": "ES256"})
app = Flask(__name__)
app.config["OAUTH2_SCOPES_SUPPORTED"] = ["read", "write"]


class Client(ClientMixin):
    client_id = client_id

    def get_client_id(self):
        return client_id

    def get_allowed_scope(self, scope):
        return scope

    def check_client_secret(self, given):
        return secrets.compare_digest(given, secret)

    def check_endpoint_auth_method(self, method, endpoint):
        return method in Grant.TOKEN_ENDPOINT_AUTH_METHODS

    def check_grant_type(self, grant_type):
        return grant_type == Grant.GRANT_TYPE


class Grant(grants.ClientCredentialsGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic", "client_secret_post"]


class Tokens(JWTBearerTokenGenerator):
    def get_jwks(self):
        return key

    def get_audiences(self, client, user, scope):
        return request.form["audience"]


@app.post("/token")
def token():
    return server.create_token_response()


@app.get("/keys")
def keys():
    return {"keys": [key.as_dict(private=False)]}


@app.get("/.well-known/oauth-authorization-server")
def metadata():
    return AuthorizationServerMetadata({
        "issuer": issuer, "token_endpoint": f"{issuer}/token", "jwks_uri": f"{issuer}/keys",
        "grant_types_supported": [Grant.GRANT_TYPE], "response_types_supported": [],
        "token_endpoint_auth_methods_supported": Grant.TOKEN_ENDPOINT_AUTH_METHODS,
    })


server = AuthorizationServer(app, {client_id: Client()}.get, lambda token, request: None)
server.register_grant(Grant)
server.register_token_generator(Grant.GRANT_TYPE, Tokens(issuer, alg="ES256"))
make_server("127.0.0.1", int(port), app, threaded=True).serve_forever()
