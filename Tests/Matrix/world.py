"""What the broker has around it, whatever its libraries: certificates, a tenant, nginx before it, and those who ask."""

import contextlib
import hashlib
import itertools
import json
import os
import re
import subprocess
import urllib.parse

from libraries import NAMES
from processes import Process, ask, free_port, write

KEY = "tb_the-caller"
# For each client.
AUDIENCES = 24
URI = "spiffe://example.com/caller"
# A name of two addresses, of which the first is dead.
NAME, DEAD, LIVE = "two-addresses.test", "127.0.0.1", "127.0.0.2"
ALTERNATIVES = f"DNS:{NAME},IP:{DEAD},IP:{LIVE}"
# Paths of nginx's access log, by what it speaks there.
WAYS = {"http1": "HTTP/1.1", "http2": "HTTP/2.0", "goaway": "HTTP/2.0"}
CERTIFICATES = """
request() { name=$1; shift; openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $name.key "$@"; }
authority() { request $1 -x509 -out $1.crt -subj /CN=$1 -days 2; }
sign() {
  request $1 -out $1.csr -subj /CN=$1
  echo "subjectAltName=$3" > $1.ext
  openssl x509 -req -in $1.csr -CA $2.crt -CAkey $2.key -CAcreateserial -out $1.crt -extfile $1.ext -days ${4:-2}
}
authority ca; authority rogue
sign server ca "$ALTERNATIVES"; sign caller ca "URI:$URI"; sign impostor rogue "URI:$URI"
sign elsewhere ca DNS:elsewhere.test; sign expired ca "$ALTERNATIVES" -1
"""


def make_certificates(place):
    environment = {"PATH": os.environ["PATH"], "ALTERNATIVES": ALTERNATIVES, "URI": URI}
    subprocess.run(["sh", "-ec", CERTIFICATES], cwd=place, env=environment, check=True, capture_output=True, timeout=60)
    return place


class RealTenant(Process):
    """The development tenant as a program of its own, which lives as long as its standard input."""

    def __init__(self, executable, place, audiences):
        super().__init__("tenant", [executable, audiences], place)

    def start(self):
        super().start(stdin=subprocess.PIPE)
        self.facts = json.loads(self.wait("facts", lambda: re.match(r".*\n", self.log.read_text()))[0])
        write(self.place / "tenant.crt", self.facts["certificate"])

    def end(self):
        if self.process:
            self.process.stdin.close()
        super().end()


class NGINX(Process):
    """Before the tenant, with a port for each of WAYS; at `goaway` a connection ends with its second request."""

    def __init__(self, place, files, tenant):
        self.ports = {way: free_port() for way in WAYS}
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        servers = "".join(f"""
          server {{
            listen 127.0.0.1:{port} ssl {'' if way == 'http1' else 'http2'};
            {'keepalive_requests 2;' if way == 'goaway' else ''}
            location / {{ proxy_pass {tenant.facts['AUTH0_DOMAIN']}; }}
          }}""" for way, port in self.ports.items())
        file = write(place / "nginx.conf", f"""
          daemon off; master_process off; pid {place}/nginx.pid; error_log stderr warn; events {{}}
          http {{
            {' '.join(f'{kind}_temp_path {place}/{kind};' for kind in kinds)}
            log_format way '$server_port $server_protocol $connection'; access_log {place}/access.log way;
            ssl_certificate {files}/server.crt; ssl_certificate_key {files}/server.key;
            {servers}
          }}""")
        self.access = place / "access.log"
        super().__init__("nginx", ["nginx", "-e", "stderr", "-c", file], place, port=self.ports["http1"])

    def seen(self, way):
        """Protocol and number of the connection for each request that has come by a way."""
        lines = (line.split() for line in self.access.read_text().splitlines())
        return [tuple(words[1:]) for words in lines if words[0] == str(self.ports[way])]


def client(url, files, **more):
    """One of the broker's `clients`, of an authorization server that is not Auth0."""
    facts = {"provider": "oauth2", "tokenURL": url, "clientId": "id", "clientSecret": "secret"}
    facts |= {"authMethod": "client_secret_post", "caFile": str(files / "ca.crt"), **more}
    return {name: value for name, value in facts.items() if value is not None}


class Broker(Process):
    """With a listener for HTTP, one for TLS, a client for each of `clients`, and AUDIENCES for each of these."""

    def __init__(self, executable, place, files, libraries, clients, prefix=()):
        numbers = itertools.count()
        audiences = {name: [f"https://{next(numbers)}.example.com/" for _ in range(AUDIENCES)] for name in clients}
        self.audiences = {name: iter(names) for name, names in audiences.items()}
        certificate = {"certificateFile": f"{files}/server.crt", "keyFile": f"{files}/server.key"}
        caller = {"bearerSHA256": [hashlib.sha256(KEY.encode()).hexdigest()], "clientCertificate": [URI]}
        configuration = write(place / "token-broker.yaml", json.dumps({
            "listen": ["127.0.0.1:0", "https://127.0.0.1:0"], "admin": {"listen": "127.0.0.1:0"},
            "tls": {**certificate, "clientCAFile": f"{files}/ca.crt"}, "upstream": {"connectTimeout": "2s"},
            "callers": {"caller": {**caller, "audiences": ["*"]}}, "clients": clients,
            "audiences": [
                {"audience": audience, "client": name, "verify": "jwt" if "jwksURL" in clients[name] else "opaque"}
                for name, those in audiences.items() for audience in those],
        }))
        command = [*prefix, executable, "serve", "--config", configuration]
        super().__init__("token-broker", command, place, {"BROKER_LOG_FORMAT": "json", **libraries.environment})

    def start(self):
        super().start()
        pattern = re.compile(r'.*"message":"serving".*\n')
        line = self.wait("line that says 'serving'", lambda: pattern.search(self.log.read_text()))
        self.serving = json.loads(line[0])
        plain, self.secure_url = self.serving["addresses"].split()
        self.url, self.admin_url = f"http://{plain}", f"http://{self.serving['admin']}"

    @property
    def mapped(self):
        """The files of each of the libraries that it has loaded."""
        with open(f"/proc/{self.process.pid}/maps") as maps:
            files = {line.split(None, 5)[5].strip() for line in maps if ".so" in line}
        return {name: {file for file in files if re.search(rf"/{name}[-.]", file)} for name in NAMES}

    def path(self, name):
        """Of a token that nobody has asked for, of that client's."""
        return "/token/" + urllib.parse.quote(next(self.audiences[name]), safe="")

    def ask(self, path):
        """200, or what else is answered."""
        status, text = ask(self.url + path, headers={"Authorization": f"Bearer {KEY}"})
        return status if status == 200 else f"{status} {text.strip()}"


def curl(*options):
    """Status and version of HTTP that curl was answered, or the error that it ends with."""
    command = ["curl", "--silent", "--show-error", "--max-time", "30", "--noproxy", "*", "--output", "/dev/null"]
    command += ["--write-out", "%{http_code} %{http_version}", *options]
    environment = {"PATH": os.environ["PATH"]}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    return result.stdout if result.returncode == 0 else f"error {result.returncode}"


def namespace(place):
    """What a command is begun with so that NAME has its two addresses; why there is none."""
    hosts = write(place / "hosts", f"127.0.0.1 localhost\n{DEAD} {NAME}\n{LIVE} {NAME}\n")
    user = [] if os.geteuid() == 0 else ["--map-root-user"]
    prefix = ["unshare", "--mount", *user, "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"', str(hosts)]
    result = subprocess.run([*prefix, "getent", "ahostsv4", NAME], capture_output=True, text=True, timeout=30)
    if result.returncode:
        return [], result.stderr.strip().splitlines()[-1] if result.stderr else "the name cannot be looked up"
    first = result.stdout.split()[0]
    return (prefix, None) if first == DEAD else ([], f"{first} comes before {DEAD}")


@contextlib.contextmanager
def tenant_before(executable, place, files, audiences):
    with RealTenant(executable, place, audiences) as tenant, NGINX(place, files, tenant) as nginx:
        yield tenant, nginx
