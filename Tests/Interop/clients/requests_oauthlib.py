"""Its errors are oauthlib's. It asks once, and again only when told to: a request with a token that has ended raises
`TokenExpiredError`."""

NAME = "requests-oauthlib 2.0.0"
HTTPS = True  # Else it wants OAUTHLIB_INSECURE_TRANSPORT.
AUDIENCE = "form"
EXPECTED = {
    "token": ("a token", [200]),
    "wrong key": ("InvalidClientError: (invalid_client) nobody with this client id and secret may have this", [401]),
    "refused": ("UnauthorizedClientError: (unauthorized_client) the caller may not have this audience", [400]),
    "busy": ("TemporarilyUnavailableError: (temporarily_unavailable) the caller asks too often", [429]),
    "away": ("TemporarilyUnavailableError: (temporarily_unavailable) the tenant says that it cannot answer now", [503]),
}


def ask(url, caller, key, audience):
    from oauthlib.oauth2 import BackendApplicationClient
    from requests_oauthlib import OAuth2Session

    session = OAuth2Session(client=BackendApplicationClient(caller))
    return session.fetch_token(f"{url}/oauth/token", client_secret=key, audience=audience)["access_token"]
