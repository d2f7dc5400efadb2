#!/usr/bin/env bash
# Package.swift's dependencies have exact versions, and deploy/dependencies.md has the same ones.
set -euo pipefail
cd "$(dirname "$0")/../.."
failed=

while read -r declaration; do
  row=$(sed -nE 's/.*url: ".*\/(.*)\.git", exact: "(.*)".*/| \1 | \2 |/p' <<< "$declaration")
  if [ -z "$row" ]; then
    echo "Package.swift: '$declaration' has no exact version, where .package(url: \"….git\", exact: \"…\") is expected"
    failed=yes
  elif ! grep -qF "$row" deploy/dependencies.md; then
    echo "deploy/dependencies.md: lacks '$row', which Package.swift has: make dependencies"
    failed=yes
  fi
done < <(grep -F '.package(' Package.swift)
[ -z "$failed" ]
