"""Apache, from Debian's package, with Lua's socket library."""

from packages import unpack
from processes import write

NAME = "Apache 2.4.71"
SNIPPETS = {
    "apache.lua": {},
    "apache.conf": {
        "*:8000": "*:{proxy_port}", "http://api.example.com": "http://{application}",
        "/etc/apache2/apache.lua": "{place}/apache.lua",
    },
}
EXPECTED = {}
SLASHES = {
    "as it comes": (404, 400),
    "AllowEncodedSlashes NoDecode": (200, 400),
    "AllowEncodedSlashes NoDecode, nocanon": (200, 200),
}
RESTARTS = False
MODULES = ["mpm_event", "authz_core", "unique_id", "proxy", "proxy_http", "lua"]


def command(folder, place, address, configuration):
    package = unpack("apache2-bin", "2.4.71-1~deb12u1", folder)
    lua = unpack("lua-socket", "3.1.0-1+b1", folder)
    modules = package / "usr/lib/apache2/modules"
    file = write(place / "main.conf", "\n".join([
        f"ServerRoot {place}", f"Listen {address}", f"PidFile {place}/apache.pid", "ErrorLog /dev/stderr",
        "ServerName localhost", *(f"LoadModule {name}_module {modules}/mod_{name}.so" for name in MODULES),
        "User nobody", "Group nogroup",
        # It takes 100 fields otherwise.
        "LimitRequestFields 200",
        f"LuaPackagePath {lua}/usr/share/lua/5.3/?.lua", f"LuaPackageCPath {lua}/usr/lib/x86_64-linux-gnu/lua/5.3/?.so",
        configuration,
    ]))
    return [package / "usr/sbin/apache2", "-D", "FOREGROUND", "-f", file]


def forward(folder, place, addresses, snippets):
    return command(folder, place, addresses["proxy"], f"Include {snippets['apache.conf']}")


def pass_on(folder, place, address, brokers, how):
    directives = how.split(", ")[0] if how.startswith("Allow") else ""
    passes = f"ProxyPass / http://{brokers[0]}/" + (" nocanon" if "nocanon" in how else "")
    return command(folder, place, address, f"<VirtualHost *>\n{directives}\n{passes}\n</VirtualHost>")
