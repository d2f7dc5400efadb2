"""nginx, from Debian's package."""

from packages import unpack
from processes import write

NAME = "nginx 1.22.1"
SNIPPETS = {"nginx.conf": {"listen 8000": "listen {proxy}", "server api.example.com:80": "server {application}"}}
EXPECTED = {}
# By how it is told to pass on: what /token/https%3A%2F%2F… and /token/https://… are answered.
SLASHES = {
    "proxy_pass http://b;": (200, 200),
    "proxy_pass http://b/;": (400, 400),
    "merge_slashes off; proxy_pass http://b/;": (200, 200),
}
RESTARTS = True


def command(folder, place, configuration):
    program = unpack("nginx", "1.22.1-9+deb12u11", folder) / "usr/sbin/nginx"
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    file = write(place / "main.conf", "\n".join([
        f"daemon off; master_process off; pid {place}/nginx.pid; error_log stderr warn; events {{}}",
        "http { access_log off;", *(f"{kind}_temp_path {place}/{kind};" for kind in kinds), configuration, "}",
    ]))
    return [program, "-e", "stderr", "-c", file]


def forward(folder, place, addresses, snippets):
    return command(folder, place, f"include {snippets['nginx.conf']};")


def pass_on(folder, place, address, brokers, how):
    servers = "".join(f"server {broker};" for broker in brokers)
    merge, _, passes = how.rpartition("; proxy_pass ")
    return command(folder, place, f"""
        upstream b {{ {servers} keepalive 16; }}
        server {{
          listen {address}; {merge + ';' if merge else ''}
          location / {{
            proxy_http_version 1.1; proxy_set_header Connection ""; proxy_pass {passes.removeprefix('proxy_pass ')}
          }}
        }}""")


def share(folder, place, address, brokers):
    return pass_on(folder, place, address, brokers, "proxy_pass http://b;")
