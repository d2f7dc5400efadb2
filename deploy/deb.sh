#!/usr/bin/env bash
# Makes a Debian package of what `make install` installs: the binary, its units, an example and its bill of materials.
#
#   deploy/deb.sh FOLDER     needs `make build`, and dpkg-dev; prints the package's path
#
# What it depends on is what the binary is linked to, and where deploy/minimum-versions.txt wants more, that.
set -euo pipefail
cd "$(dirname "$0")/.."

version="$(sed -n 's/.*current = "\(.*\)".*/\1/p' Sources/Telemetry/Version.swift)"
architecture="$(dpkg --print-architecture)"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
tree="$work/tree"
make --silent install PREFIX=/usr DESTDIR="$tree" >&2
strip "$tree/usr/bin/token-broker"
install -d --mode 0750 "$tree/etc/token-broker"

mkdir "$work/debian" "$tree/DEBIAN"
echo 'Source: token-broker' > "$work/debian/control"
needed="$(cd "$work" && dpkg-shlibdeps -O --ignore-missing-info -e"$tree/usr/bin/token-broker" | sed -n 's/^shlibs:Depends=//p')"
release="$(sed -n 's/^VERSION_ID="\(.*\)"/\1:/p' /etc/os-release)"
least="$(awk -v release="$release" -v needed=" $needed" '/^#/ { on = $2 == release }
  !/^#/ && on && index(needed, " " $1 " ") { printf ", %s (>= %s)", $1, $2 }' deploy/minimum-versions.txt)"

cat > "$tree/DEBIAN/control" <<END
Package: token-broker
Version: $version
Architecture: $architecture
Maintainer: The token-broker authors <token-broker@example.invalid>
Section: net
Priority: optional
Depends: $needed$least
Recommends: ca-certificates
Description: access tokens for the services of this machine or network
 Internal services ask it for access tokens of Auth0 or any OAuth 2.0 server; it
 alone holds the client secret, validates what it is given, and caches it.
END
# It starts when it has been configured, and by `systemctl enable --now`; an upgrade restarts what runs, its sockets stay.
cat > "$tree/DEBIAN/postinst" <<'END'
#!/bin/sh
set -e
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload
  systemctl try-restart token-broker.service || true
fi
END
cat > "$tree/DEBIAN/prerm" <<'END'
#!/bin/sh
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
  systemctl disable --now token-broker.service token-broker.socket token-broker-admin.socket || true
fi
END
chmod 0755 "$tree/DEBIAN/postinst" "$tree/DEBIAN/prerm"
mkdir -p "$1"
package="$1/token-broker_${version}_$architecture.deb"
dpkg-deb --root-owner-group --build "$tree" "$package" > "$work/output"
echo "$package"
