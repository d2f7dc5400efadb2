#!/usr/bin/env bash
# Warns of Debian's libraries on this machine that are older than deploy/minimum-versions.txt has them. It never fails:
# a machine that builds the broker need not be one that runs it.
set -euo pipefail
cd "$(dirname "$0")/../.."

release="$(sed -n 's/^VERSION_ID="\(.*\)"/\1:/p' /etc/os-release)"
while read -r package least why; do
  version=$(dpkg-query --show --showformat '${Version}' "$package" 2> /dev/null || true)
  if [ -n "$version" ] && dpkg --compare-versions "$version" lt "$least"; then
    echo "warning: $package is $version, where at least $least is expected: $why"
  fi
done < <(awk -v release="$release" '/^#/ { on = $2 == release } !/^#/ && on' deploy/minimum-versions.txt)
