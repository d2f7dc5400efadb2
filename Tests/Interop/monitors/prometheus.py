"""Debian's Prometheus: the newest that a registry of ours has. It asks for OpenMetrics before anything else.

2.42.0 (Debian 12): reads all of it, evaluates each rule of alerts.yaml and each query of the dashboard.
"""

import json
import shutil

from packages import Skipped
from processes import Process, free_port, write

NAME = "Prometheus"


class Prometheus(Process):
    """Scrapes one target each second, and evaluates the rules as often."""

    def __init__(self, place, target, rules):
        executable = shutil.which("prometheus")
        if not executable:
            raise Skipped("prometheus is not here")
        configuration = write(place / "prometheus.yaml", json.dumps({  # which is YAML, too
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(rules)],
            "scrape_configs": [{"job_name": "token-broker", "static_configs": [{"targets": [target]}]}],
        }))
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        super().__init__("prometheus", [
            executable, f"--config.file={configuration}", f"--storage.tsdb.path={place / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn",
        ], place, port=port)
