"""It asks as MSAL does. After a 429 or a 5xx it asks again, three times by default, and sleeps for as long as
`Retry-After` says, beyond any `timeout` ([finding](../findings/azure-identity-sleeps-then-times-out.sh))."""

NAME = "azure-identity 1.27.0"
HTTPS = True
AUDIENCE = "none"
EXPECTED = {
    "token": ("a token", [200, 200]),
    "wrong key": (
        "ClientAuthenticationError: Authentication failed: nobody with this client id and secret may "
        "have this",
        [200, 401],
    ),
    "refused": (
        "ClientAuthenticationError: Authentication failed: the caller may not have the scope 'write:a'",
        [200, 400],
    ),
    "busy": ("a token", [200, 200, 429]),
    "away": ("ClientAuthenticationError: Authentication failed: HTTP Error: 503", [200, 503, 503, 503, 503]),
}


def ask(url, caller, key, scope):
    from azure.identity import ClientSecretCredential

    credential = ClientSecretCredential("broker", caller, key, authority=url, disable_instance_discovery=True)
    return credential.get_token(scope).token
