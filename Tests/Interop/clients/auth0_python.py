"""The SDK of Auth0. It asks once, whatever the answer. `reset_at` of a `RateLimitError` is -1: it comes from
`X-RateLimit-Reset`, which is Auth0's, and not from `Retry-After`."""

NAME = "auth0-python 6.8.0"
HTTPS = True  # The protocol can be changed for tests only.
AUDIENCE = "form"
EXPECTED = {
    "token": ("a token", [200]),
    "wrong key": ("Auth0Error: 401: nobody with this client id and secret may have this", [401]),
    "refused": ("Auth0Error: 400: the caller may not have this audience", [400]),
    "busy": ("RateLimitError: 429: the caller asks too often; reset_at -1", [429]),
    "away": ("Auth0Error: 503: the tenant says that it cannot answer now", [503]),
}


def ask(url, caller, key, audience):
    from auth0.authentication import GetToken

    host = url.removeprefix("https://")
    return GetToken(host, caller, client_secret=key).client_credentials(audience)["access_token"]


def see(error):
    limit = f"; reset_at {error.reset_at}" if hasattr(error, "reset_at") else ""
    return f"{type(error).__name__}: {error}{limit}"
