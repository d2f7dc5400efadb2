"""Asks the broker for a token with Authlib, and prints it."""
import sys

from authlib.integrations.requests_client import OAuth2Session

url, client_id, secret, style, audience = sys.argv[1:]
method = {"header": "client_secret_basic", "params": "client_secret_post"}[style]
session = OAuth2Session(client_id, secret, token_endpoint_auth_method=method)
print(session.fetch_token(url, grant_type="client_credentials", audience=audience)["access_token"])
