"""Varnish, from Debian's package."""

from packages import unpack
from processes import write

NAME = "Varnish 7.1.1"
SNIPPETS = {"varnish.vcl": {
    '.host = "127.0.0.1";\n  .port = "8080";': '.host = "127.0.0.1";\n  .port = "{broker_port}";',
    '.host = "api.example.com";\n  .port = "80";': '.host = "127.0.0.1";\n  .port = "{application_port}";',
}}
# It refuses what would have it leave out a field that means something.
EXPECTED = {"Authorization is named in Connection": 400}
SLASHES = {"as it comes": (200, 200)}
RESTARTS = False
# It takes 64 fields of 8 KiB otherwise.
LIMITS = {
    "http_max_hdr": "255", "http_req_size": "64k", "http_req_hdr_len": "32k", "http_resp_size": "64k",
    "http_resp_hdr_len": "32k", "workspace_client": "256k", "workspace_backend": "256k",
}


def command(folder, place, address, file):
    package = unpack("varnish", "7.1.1-2+deb12u1", folder)
    more = unpack("varnish-modules", "0.20.0-2", folder)
    modules = ":".join(f"{place}/usr/lib/x86_64-linux-gnu/varnish/vmods" for place in (package, more))
    limits = [word for limit in {**LIMITS, "vmod_path": modules}.items() for word in ("-p", "=".join(map(str, limit)))]
    return [package / "usr/sbin/varnishd", "-F", "-j", "none", "-n", place / "varnish", "-a", address, "-f", file, *limits]


def forward(folder, place, addresses, snippets):
    return command(folder, place, addresses["proxy"], snippets["varnish.vcl"])


def pass_on(folder, place, address, brokers, how):
    host, port = brokers[0].split(":")
    text = f'vcl 4.1;\nbackend broker {{\n  .host = "{host}";\n  .port = "{port}";\n}}\n'
    return command(folder, place, address, write(place / "pass-on.vcl", text))
