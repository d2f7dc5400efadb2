"""It asks once. The error's word is its class where it knows the word, and `UnknownTokenEndpointError` with the
answer in `response` otherwise."""

NAME = "requests_oauth2client 1.8.0"
HTTPS = True
AUDIENCE = "form"
EXPECTED = {
    "token": ("a token", [200]),
    "wrong key": (
        "InvalidClient: The remote endpoint returned an error: nobody with this client id and secret "
        "may have this",
        [401],
    ),
    "refused": (
        "UnauthorizedClient: The remote endpoint returned an error: the caller may not have this "
        "audience",
        [400],
    ),
    "busy": ("UnknownTokenEndpointError: The remote endpoint returned an error: the caller asks too often", [429]),
    "away": (
        "UnknownTokenEndpointError: The remote endpoint returned an error: the tenant says that it "
        "cannot answer now",
        [503],
    ),
}


def ask(url, caller, key, audience):
    from requests_oauth2client import OAuth2Client

    client = OAuth2Client(f"{url}/oauth/token", client_id=caller, client_secret=key)
    return client.client_credentials(audience=audience).access_token
