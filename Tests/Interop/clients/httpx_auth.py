"""It fetches a token before the request that wants one, and again 30 seconds before its end; `early_expiry=0` is 30,
too ([finding](../findings/httpx-auth-early-expiry-zero-is-thirty.sh))."""

NAME = "httpx-auth 0.23.1"
HTTPS = False
AUDIENCE = "form"
EXPECTED = {
    "token": ("a token", [200]),
    "wrong key": ("InvalidGrantRequest: invalid_client: nobody with this client id and secret may have this", [401]),
    "refused": ("InvalidGrantRequest: unauthorized_client: the caller may not have this audience", [400]),
    "busy": ("InvalidGrantRequest: temporarily_unavailable: the caller asks too often", [429]),
    "away": ("InvalidGrantRequest: temporarily_unavailable: the tenant says that it cannot answer now", [503]),
}


def ask(url, caller, key, audience):
    import httpx
    from httpx_auth import OAuth2ClientCredentials

    auth = OAuth2ClientCredentials(f"{url}/oauth/token", caller, key, audience=audience)
    request = httpx.get(f"{url}/healthz", auth=auth).request
    return request.headers["Authorization"].removeprefix("Bearer ")
