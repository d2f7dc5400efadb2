"""Asks the broker for a token with requests-oauthlib, and prints it."""
import os
import sys

from oauthlib.oauth2 import BackendApplicationClient
from requests_oauthlib import OAuth2Session

# The broker is on this machine's loopback interface, as a sidecar is.
os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"
url, client_id, secret, style, audience = sys.argv[1:]
session = OAuth2Session(client=BackendApplicationClient(client_id))
token = session.fetch_token(
    url, client_id=client_id, client_secret=secret, include_client_id=style == "params", audience=audience
)
print(token["access_token"])
