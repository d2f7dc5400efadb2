"""What reads the broker's metrics, and works with what deploy/ has for it."""

import hashlib
import json
import pathlib
import re
import subprocess
import urllib.parse

from packages import Skipped
from processes import Process, ask, ask_json, write

DEPLOY = pathlib.Path(__file__).parents[2] / "deploy"
ALERTS = DEPLOY / "prometheus/alerts.yaml"
DASHBOARD = DEPLOY / "grafana/dashboard.json"
API, KEY = "https://api.example.com/", "tb_billing"
METRIC = re.compile(r"\btoken_broker_\w+")
SUFFIX = re.compile(r"_(bucket|sum|count)$")
CONFIGURATION = """
listen: ['127.0.0.1:0', 'https://127.0.0.1:0']
tls: {{certificateFile: {place}/cert.pem, keyFile: {place}/key.pem}}
store: {{url: 'file:{place}/store'}}
budget: {{monthlyMints: 1000}}
audiences: ['{api}']
callers: {{billing: {{bearerSHA256: {hash}, audiences: ['{api}']}}}}
"""


class Dev(Process):
    """The binary with its development tenant, and with all that has metrics of its own."""

    def __init__(self, executable, place):
        key = hashlib.sha256(KEY.encode()).hexdigest()
        file = write(place / "token-broker.yaml", CONFIGURATION.format(place=place, api=API, hash=key))
        listen = {"BROKER_ADMIN_LISTEN": "127.0.0.1:0", "BROKER_LOG_FORMAT": "json"}
        super().__init__("token-broker", [executable, "dev", "--config", file], place, listen)

    def start(self):
        super().start()
        pattern = re.compile(r'.*"message":"serving".*\n')
        line = self.wait("line that says 'serving'", lambda: pattern.search(self.log.read_text()))
        serving = json.loads(line[0])
        address = re.search(r"127\.0\.0\.1:\d+", serving["addresses"])[0]
        self.url, self.admin = f"http://{address}", serving["admin"]

    def token(self, key):
        return ask(f"{self.url}/token/{urllib.parse.quote(API, safe='')}", headers={"Authorization": f"Bearer {key}"})[0]


def certificate(place):
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
               "90", "-subj", "/CN=localhost", "-keyout", place / "key.pem", "-out", place / "cert.pem"]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=60)
    except FileNotFoundError as error:
        raise Skipped(str(error)) from None


def queries():
    """What the dashboard asks, with values in place of its variables."""
    values = {"$job": ".*", "$instance": ".*", "$__rate_interval": "1m"}
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", []):
            text = target["expr"]
            for name, value in values.items():
                text = text.replace(name, value)
            yield panel["title"], text


def play(_, module, executable, folder, place, verdicts):
    certificate(place)
    with Dev(executable, place) as broker, module.Prometheus(place, broker.admin, ALERTS) as monitor:
        api = f"{monitor.url}/api/v1/"

        def query(text):
            answer = ask_json(f"{api}query?{urllib.parse.urlencode({'query': text})}")["data"]["result"]
            return [sample["value"][1] for sample in answer]

        verdicts.expect("a token, and a wrong key", [200, 401], [broker.token(KEY), broker.token("tb_wrong")])
        monitor.wait("scrape with the token", lambda: query("token_broker_tokens_minted_total") == ["1"])
        verdicts.expect("the target is up", ["1"], query("up"))
        target, = ask_json(f"{api}targets")["data"]["activeTargets"]
        verdicts.expect("its last error", "", target["lastError"])

        # In OpenMetrics a counter's family has no suffix, which only its samples have.
        described = {each["metric"]: each["type"] for each in ask_json(f"{api}targets/metadata")["data"]}
        verdicts.expect("read as OpenMetrics", "counter", described.get("token_broker_tokens_minted"))
        known = set(described) | {name + "_total" for name, kind in described.items() if kind == "counter"}
        for file in (ALERTS, DASHBOARD):
            named = {SUFFIX.sub("", name) for name in METRIC.findall(file.read_text())}
            verdicts.expect(f"metrics of {file.name} that there are not", [], sorted(named - known))

        for title, text in queries():
            status, answer = ask(f"{api}query?{urllib.parse.urlencode({'query': text})}")
            verdicts.require(f"panel {title}", status == 200, status, f": {answer}")

        def rules():
            groups = ask_json(f"{api}rules")["data"]["groups"]
            found = [rule for group in groups for rule in group["rules"]]
            return found if all(rule["health"] != "unknown" for rule in found) else None

        evaluated = monitor.wait("evaluation of each rule", rules)
        bad = [rule["name"] for rule in evaluated if rule["health"] != "ok"]
        verdicts.expect(f"of {len(evaluated)} rules those that cannot be evaluated", [], bad)

        def alerts():
            return [alert["labels"]["alertname"] for alert in ask_json(f"{api}alerts")["data"]["alerts"]]

        # Before the first scrape there was no broker.
        monitor.wait("evaluation without an alert", lambda: not alerts())
        broker.end()
        # It fires two minutes later, which promtool has seen.
        monitor.wait("alert of a broker that is down", lambda: "TokenBrokerDown" in alerts())
        verdicts.expect("the target of a broker that has ended is up", ["0"], query("up"))
