"""It begins with the metadata of its authority, and names a scope, never an audience. A token with five minutes or
less to live is not used twice, and an error is answered from memory for a while, without asking
([finding](../findings/msal-answers-an-old-error.sh))."""

NAME = "msal 1.39.0"
HTTPS = True
AUDIENCE = "none"
EXPECTED = {
    "token": ("a token", [200, 200]),
    "wrong key": ("LookupError: invalid_client: nobody with this client id and secret may have this", [200, 401]),
    "refused": ("LookupError: unauthorized_client: the caller may not have the scope 'write:a'", [200, 400]),
    "busy": ("LookupError: temporarily_unavailable: the caller asks too often", [200, 429]),
    "away": ("MsalServiceError: HTTP Error: 503", [200, 503]),
}


def ask(url, caller, key, scope):
    import msal

    application = msal.ConfidentialClientApplication(caller, client_credential=key, oidc_authority=f"{url}/broker")
    answer = application.acquire_token_for_client([scope])
    if "error" in answer:
        raise LookupError(f"{answer['error']}: {answer['error_description']}")
    return answer["access_token"]
