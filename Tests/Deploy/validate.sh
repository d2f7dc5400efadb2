#!/usr/bin/env bash
# Validates what deploy/ holds with programs that nobody here wrote, and lets schemathesis loose on the API.
#
#   Tests/Deploy/validate.sh BINARY     needs kubectl, promtool and systemd; fetches Python packages into a directory of its own
set -euo pipefail

binary="$(readlink -f "$1")"
cd "$(dirname "$0")/../.."
work="$(mktemp -d)"
broker=
end() { [ -z "$broker" ] || kill "$broker" 2> /dev/null || true; rm -rf "$work"; }
trap end EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet check-jsonschema "cyclonedx-python-lib[json-validation]==11.12.0" kubernetes-validate openapi-spec-validator schemathesis

echo "== Kubernetes"
for overlay in standalone sidecar fleet example; do
  kubectl kustomize "deploy/kubernetes/overlays/$overlay" > "$work/$overlay.yaml"
  # From the first version with sidecars to the newest that the validator knows. ServiceMonitor is not Kubernetes' own.
  for version in 1.29 1.37; do
    "$work/venv/bin/kubernetes-validate" --strict --quiet -k "$version" "$work/$overlay.yaml"
    echo "$overlay: $(grep -c '^kind:' "$work/$overlay.yaml") objects, Kubernetes $version"
  done
done

echo "== Compose"
"$work/venv/bin/check-jsonschema" --builtin-schema vendor.compose-spec deploy/compose.yaml

echo "== bill of materials"
python3 deploy/dependencies.py "$binary" --cyclonedx > "$work/sbom.json"
"$work/venv/bin/python" - "$work/sbom.json" <<'END'
import pathlib
import sys

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

fault = JsonStrictValidator(SchemaVersion.V1_5).validate_str(pathlib.Path(sys.argv[1]).read_text())
sys.exit(f"no CycloneDX: {fault}" if fault else 0)
END

echo "== Prometheus"
promtool check rules deploy/prometheus/alerts.yaml
promtool test rules deploy/prometheus/alerts_test.yaml

echo "== systemd"
mkdir "$work/units"
for unit in deploy/systemd/*; do
  sed "s#/usr/local/bin/token-broker#$binary#" "$unit" > "$work/units/$(basename "$unit")"
done
systemd-analyze verify --man=no "$work"/units/*
systemd-analyze security --offline=true --threshold=20 --no-pager deploy/systemd/token-broker.service | tail -n 1

echo "== the API"
"$work/venv/bin/openapi-spec-validator" deploy/openapi.yaml
BROKER_LISTEN=127.0.0.1:0 BROKER_ADMIN_LISTEN=127.0.0.1:0 "$binary" dev > "$work/output" 2> "$work/errors" &
broker=$!
for _ in {1..100}; do
  ! grep -q curl "$work/output" || break
  sleep 0.1
done
url="$(sed -n 's#^  curl \(http://[0-9.:]*\)/.*#\1#p' "$work/output" | head -n 1)"
curl --silent --show-error --fail --max-time 10 "$url/token/https%3A%2F%2Fapi.example.com%2F" > "$work/token"
admin="http://$(sed -n 's/.*"message":"serving".*"admin":"\([^"]*\)".*/\1/p' "$work/errors")"
promtool check metrics < <(curl --silent --fail --max-time 10 "$admin/metrics") && echo "metrics: clean"
try() {
  "$work/venv/bin/schemathesis" --config-file Tests/Deploy/schemathesis.toml run deploy/openapi.yaml \
    --max-examples 60 --seed 1 --no-color "$@"
}
try --url "$url" --exclude-path-regex '^/status'
try --url "$admin" --include-path-regex '^/status'
kill "$broker"
wait "$broker"
broker=
