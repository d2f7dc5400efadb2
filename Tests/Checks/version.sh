#!/usr/bin/env bash
# The version stands in Sources/Telemetry/Version.swift; what else has to name it has the same.
set -euo pipefail
cd "$(dirname "$0")/../.."
failed=

version=$(sed -n 's/.*current = "\(.*\)".*/\1/p' Sources/Telemetry/Version.swift)
# expect FILE PATTERN: the first line of the file that has the pattern has the version behind it.
expect() {
  local found
  found=$(sed -nE "s/^.*$2\"?([0-9][0-9.]*).*/\1/p" "$1" | head -n 1)
  [ "$found" = "$version" ] || { echo "$1: version '$found', where Version.swift has $version"; failed=yes; }
}
expect deploy/openapi.yaml '^  version: '
expect Dockerfile 'ARG VERSION='
expect CHANGELOG.md '^## '
for overlay in deploy/kubernetes/overlays/*/kustomization.yaml; do
  ! grep -q newTag "$overlay" || expect "$overlay" 'newTag: '
done
[ -z "$failed" ]
