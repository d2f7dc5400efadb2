#!/usr/bin/env bash
# Each alert has a runbook in docs/operations.md, and names it.
set -euo pipefail
cd "$(dirname "$0")/../.."
failed=

while read -r alert; do
  grep -qx "### $alert" docs/operations.md || { echo "docs/operations.md: no section '### $alert'"; failed=yes; }
  grep -qF "docs/operations.md#${alert,,}\"" deploy/prometheus/alerts.yaml ||
    { echo "deploy/prometheus/alerts.yaml: $alert names no runbook docs/operations.md#${alert,,}"; failed=yes; }
done < <(sed -n 's/^ *- alert: //p' deploy/prometheus/alerts.yaml)
while read -r alert; do
  grep -q -- "- alert: $alert$" deploy/prometheus/alerts.yaml ||
    { echo "docs/operations.md: there is no alert $alert"; failed=yes; }
done < <(sed -n 's/^### \(TokenBroker.*\)/\1/p' docs/operations.md)
[ -z "$failed" ]
