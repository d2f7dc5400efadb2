"""HAProxy, from Debian's package."""

from packages import unpack
from processes import write

NAME = "HAProxy 2.6.12"
SNIPPETS = {
    "haproxy.lua": {},
    "haproxy.cfg": {
        "bind :8000": "bind {proxy}", "api.example.com:80": "{application}",
        "/etc/haproxy/haproxy.lua": "{place}/haproxy.lua",
    },
}
EXPECTED = {}
SLASHES = {"as it comes": (200, 200)}
RESTARTS = True


def command(folder, place, *files):
    program = unpack("haproxy", "2.6.12-1+deb12u4", folder) / "usr/sbin/haproxy"
    # It takes 100 fields otherwise.
    limits = write(place / "limits.cfg", "global\n  tune.http.maxhdr 256\n")
    options = [word for file in (limits, *files) for word in ("-f", file)]
    return [program, "-db", *options]


def forward(folder, place, addresses, snippets):
    return command(folder, place, snippets["haproxy.cfg"])


def pass_on(folder, place, address, brokers, how, check=""):
    servers = "\n".join(f"  server s{number} {broker} {check}" for number, broker in enumerate(brokers))
    return command(folder, place, write(place / "pass-on.cfg", f"""
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
listen broker
  bind {address}
  option httpchk GET /readyz
{servers}
"""))


def share(folder, place, address, brokers):
    return pass_on(folder, place, address, brokers, "as it comes", "check inter 500ms fall 1 rise 1")
