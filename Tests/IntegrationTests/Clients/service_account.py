"""Plays a Kubernetes cluster that issues tokens: writes its key set to a file, and prints tokens of several kinds."""
import json
import sys
import time

from authlib.jose import JsonWebKey, jwt

key = JsonWebKey.generate_key("RSA", 2048, {"kid": "cluster", "use": "sig"}, is_private=True)
with open(sys.argv[1], "w") as file:
    json.dump({"keys": [key.as_dict()]}, file)


def token(**changes):
    claims = {
        "iss": "https://kubernetes.example",
        "aud": ["token-broker"],
        "sub": "system:serviceaccount:jobs:batch",
        "iat": int(time.time()),
        "exp": int(time.time()) + 600,
    }
    return jwt.encode({"alg": "RS256", "kid": "cluster"}, claims | changes, key).decode()


print(
    json.dumps(
        {
            "good": token(),
            "other audience": token(aud=["https://kubernetes.example"]),
            "other issuer": token(iss="https://kubernetes.evil.example"),
            "expired": token(exp=int(time.time()) - 1),
            "other account": token(sub="system:serviceaccount:jobs:batch2"),
            "other namespace": token(sub="system:serviceaccount:batch:jobs"),
            "no account": token(sub="jobs/batch"),
            "bent": token()[:-8] + "AAAAAAAA",
        }
    )
)
