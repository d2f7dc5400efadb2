#!/usr/bin/env bash
# Guess: where a gRPC call gets no token, because its credentials plugin has been told 401 or 503, the call fails at
#   once with UNAUTHENTICATED or INTERNAL; a retryPolicy is for what the server says, and no server has been asked.
# Software: PyPI grpcio==1.85.3.
# Behaviour: the plugin's error becomes UNAVAILABLE, the code that a server has when it is away, and that nearly each
#   retryPolicy names. So the call is retried, and each try asks the plugin anew: with maxAttempts 4 a refused caller
#   makes four token requests for each call, and a token endpoint that is away or limits its callers gets four times the
#   requests. A token with the line end of its file becomes UNAVAILABLE likewise. The server hears of none of it.
# Seen, with retryableStatusCodes [UNAVAILABLE] and maxAttempts 4:
#   plugin                  without retryPolicy    with it                code
#   gives a token           asked 1 time           asked 1 time           OK
#   has an error            asked 1 time           asked 4 times          UNAVAILABLE
#   raises                  asked 1 time           asked 4 times          UNAVAILABLE
#   token + "\n"            asked 1 time           asked 4 times          UNAVAILABLE
#   has an error, once      asked 1 time           asked 2 times          UNAVAILABLE; with it OK
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
if ! { python3 -m venv "$folder/venv" && timeout 300 "$folder/venv/bin/pip" install --quiet \
  --disable-pip-version-check grpcio==1.85.3; } > "$folder/log" 2>&1; then
  cat "$folder/log" >&2
  echo "NOT RUN: grpcio==1.85.3 could not be installed" >&2
  exit 75
fi

cd "$folder"
no_proxy='*' GRPC_VERBOSITY=NONE timeout 60 venv/bin/python - 2> errors << 'PYTHON' || { tail -n 1 errors >&2; exit 1; }
import json
import sys
from concurrent import futures

import grpc

POLICY = {"maxAttempts": 4, "initialBackoff": "0.05s", "maxBackoff": "0.05s", "backoffMultiplier": 1,
          "retryableStatusCodes": ["UNAVAILABLE"]}
# plugin; times asked and code without and with a retryPolicy
table = {
    "gives a token": ((1, "OK"), (1, "OK")),
    "has an error": ((1, "UNAVAILABLE"), (4, "UNAVAILABLE")),
    "raises": ((1, "UNAVAILABLE"), (4, "UNAVAILABLE")),
    "line end": ((1, "UNAVAILABLE"), (4, "UNAVAILABLE")),
    "an error, once": ((1, "UNAVAILABLE"), (2, "OK")),
}
served = []


class Plugin(grpc.AuthMetadataPlugin):
    def __init__(self, kind):
        self.kind = kind
        self.asked = 0

    def __call__(self, context, callback):
        self.asked += 1
        if self.kind == "raises":
            raise LookupError("the token endpoint says 401")
        if self.kind == "has an error" or self.kind == "an error, once" and self.asked == 1:
            callback((), LookupError("the token endpoint says 401"))
        else:
            callback((("authorization", "Bearer token" + ("\n" if self.kind == "line end" else "")),), None)


class Service(grpc.GenericRpcHandler):
    def service(self, details):
        def answer(request, context):
            served.append(dict(context.invocation_metadata()).get("authorization"))
            return b""

        return grpc.unary_unary_rpc_method_handler(answer)


server = grpc.server(futures.ThreadPoolExecutor(2), handlers=[Service()])
local = grpc.LocalConnectionType.LOCAL_TCP
port = server.add_secure_port("127.0.0.1:0", grpc.local_server_credentials(local))
server.start()


def call(kind, with_policy):
    plugin = Plugin(kind)
    credentials = grpc.composite_channel_credentials(
        grpc.local_channel_credentials(local), grpc.metadata_call_credentials(plugin))
    method = {"name": [{}], **({"retryPolicy": POLICY} if with_policy else {})}
    options = [("grpc.service_config", json.dumps({"methodConfig": [method]})), ("grpc.enable_http_proxy", 0)]
    with grpc.secure_channel(f"127.0.0.1:{port}", credentials, options=options) as channel:
        try:
            channel.unary_unary("/api.Orders/List")(b"", timeout=10)
            code = "OK"
        except grpc.RpcError as error:
            code = error.code().name
            details[kind] = error.details()
    return plugin.asked, code


details = {}
print(f"grpcio {grpc.__version__}")
changed = False
for kind, expected in table.items():
    served.clear()
    seen = call(kind, False), call(kind, True)
    print(f"{kind:14} " + ", ".join(f"asked {asked} time(s): {code}" for asked, code in seen), details.get(kind, ""))
    changed |= seen != expected or served != ["Bearer token"] * [code for _, code in expected].count("OK")
server.stop(None).wait(5)
if changed:
    sys.exit("CHANGED: not as the head of this script has it")
PYTHON
