"""It asks again by itself when a token ends, and then forgets every parameter but the grant: so the audience stands in
the URL. What is shown has one token fetched, and another because the first is within the leeway. Of a 5xx it raises
the status alone."""

import urllib.parse

NAME = "Authlib 1.9.10 with requests 2.34.2"
HTTPS = False
AUDIENCE = "token URL"
# Whatever carries the request.
COMMON = {
    "token": ("a token", [200, 200]),
    "wrong key": ("OAuthError: invalid_client: nobody with this client id and secret may have this", [401]),
    "refused": ("OAuthError: unauthorized_client: the caller may not have this audience", [400]),
    "busy": ("OAuthError: temporarily_unavailable: the caller asks too often", [429]),
}
EXPECTED = {
    **COMMON,
    "away": (
        "HTTPError: 503 Server Error: Service Unavailable for url: "
        "URL/oauth/token?audience=https%3A%2F%2Ftemporarily-unavailable.fault.example.com%2F",
        [503],
    ),
}


def ask(url, caller, key, audience):
    from authlib.integrations.requests_client import OAuth2Session

    endpoint = f"{url}/oauth/token?audience={urllib.parse.quote(audience, safe='')}"
    session = OAuth2Session(
        caller, key, grant_type="client_credentials", token_endpoint=endpoint, leeway=100_000)
    session.fetch_token()
    session.get(f"{url}/healthz")  # It finds that the token ends within the leeway, and fetches another.
    return session.token["access_token"]
