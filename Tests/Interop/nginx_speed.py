"""What our snippet for nginx is worth, beside one that opens a connection for each request and passes the header on.

Usage: nginx_speed.py BROKER FOLDER [SECONDS]

BROKER is best a release build. Both are served by one nginx before one broker, and loaded by wrk in turns of SECONDS.
The end status is 1 unless ours serves 1.8 times as many requests, without new connections to the broker.
"""

import contextlib
import pathlib
import re
import subprocess
import sys
import tempfile

from processes import Process, free_port
from proxy_harness import KEY, ProxyBroker, Server, prepared, tenant
from reverse_proxies import nginx

ROUNDS, AT_ONCE = 3, 8
# The least that does it.
PLAIN = """
server {
  listen {plain};
  location /orders/ {
    auth_request /_token;
    auth_request_set $token $upstream_http_authorization;
    proxy_set_header Authorization $token;
    proxy_pass http://{application};
  }
  location = /_token {
    internal;
    proxy_pass http://{broker}/forward-auth/https%3A%2F%2Fapi.example.com%2F;
    proxy_pass_request_body off;
    proxy_set_header Content-Length "";
    proxy_set_header Authorization "Bearer {key}";
  }
}
"""


def load(address, seconds):
    """Requests a second. None may be answered with anything but 200."""
    command = ["wrk", "-t1", f"-c{AT_ONCE}", f"-d{seconds}s", f"http://{address}/orders/1"]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in output or "Socket errors" in output:
        raise RuntimeError(output)
    return float(re.search(r"Requests/sec: *([\d.]+)", output)[1])


def sockets(address):
    """How many there are at the broker's port, the closed ones of the last minute among them."""
    port = "%04X" % int(address.split(":")[1])
    lines = pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]
    return sum(line.split()[1].endswith(f":{port}") for line in lines)


def main():
    executable, folder = (pathlib.Path(argument).resolve() for argument in sys.argv[1:3])
    seconds = int(sys.argv[3]) if len(sys.argv) > 3 else 5
    with contextlib.ExitStack() as stack:
        place = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(Server(tenant))
        names = ("proxy", "plain", "application", "broker")
        addresses = {name: f"127.0.0.1:{free_port()}" for name in names}
        stack.enter_context(ProxyBroker(executable, place, addresses["broker"], server))
        text = prepared(nginx, place, addresses)["nginx.conf"].read_text() + PLAIN.replace("{key}", KEY)
        for name, address in addresses.items():
            text = text.replace("{%s}" % name, address)
        text += f"server {{ listen {addresses['application']}; location / {{ return 200 ok; }} }}"
        port = int(addresses["proxy"].split(":")[1])
        stack.enter_context(Process("nginx", nginx.command(folder, place, text), place, port=port))
        rates, opened = {"plain": [], "proxy": []}, {"plain": 0, "proxy": 0}
        for _ in range(ROUNDS):
            for name in rates:
                load(addresses[name], 1)
                before = sockets(addresses["broker"])
                rates[name].append(load(addresses[name], seconds))
                opened[name] += max(0, sockets(addresses["broker"]) - before)
    for name, what in (("plain", "the least that does it"), ("proxy", "deploy/proxies/nginx.conf")):
        print(f"{what}: {max(rates[name]):.0f} requests/s ({', '.join(f'{rate:.0f}' for rate in rates[name])}), "
              f"{opened[name]} more sockets at the broker")
    factor = max(rates["proxy"]) / max(rates["plain"])
    print(f"{factor:.2f} times as many")
    sys.exit(factor < 1.8 or opened["proxy"] > AT_ONCE)


main()
