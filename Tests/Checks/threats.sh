#!/usr/bin/env bash
# The tests that docs/threat-model.md names, as `Suite` “Test”, exist in a file named after the suite.
set -euo pipefail
cd "$(dirname "$0")/../.."
failed=

named=$(grep -oE '`[A-Za-z0-9]+` “[^”]+”' docs/threat-model.md | sed 's/`\(.*\)` “\(.*\)”/\1|\2/') ||
  { echo 'docs/threat-model.md: names no test, where `Suite` “Test” is expected'; exit 1; }
while IFS='|' read -r suite name; do
  if ! grep -rqF --include="$suite.swift" "\"$name\"" Tests; then
    echo "docs/threat-model.md: there is no test '$name' in a file $suite.swift of Tests"
    failed=yes
  fi
done <<< "$named"
[ -z "$failed" ]
