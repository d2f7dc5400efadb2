"""Over HTTP/2, which it speaks by HTTPS only. It asks once unless it is given `retries`."""

from client_process import named

NAME = "niquests 3.21.2"
HTTPS = True
AUDIENCE = "form"
EXPECTED = {
    "token": ("a token", [200]),
    "wrong key": ("HTTPError: 401 Client Error: Unauthorized for url: URL/oauth/token", [401]),
    "refused": ("HTTPError: 400 Client Error: Bad Request for url: URL/oauth/token", [400]),
    "busy": ("HTTPError: 429 Client Error: Too Many Requests for url: URL/oauth/token; Retry-After", [429]),
    "away": ("HTTPError: 503 Server Error: Service Unavailable for url: URL/oauth/token; Retry-After", [503]),
}


def ask(url, caller, key, audience):
    import niquests

    form = {"grant_type": "client_credentials", "audience": audience}
    answer = niquests.post(f"{url}/oauth/token", data=form, auth=(caller, key))
    assert answer.http_version == 20, "it is to be HTTP/2"
    answer.raise_for_status()
    return answer.json()["access_token"]


def see(error):
    return named(error, error.response.headers)
