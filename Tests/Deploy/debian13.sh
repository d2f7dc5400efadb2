#!/usr/bin/env bash
# Runs targets of the Makefile on Debian 13, in one that debootstrap makes, with its own libraries and the Swift of this machine.
#
#   Tests/Deploy/debian13.sh SWIFT TARGET...     needs root, debootstrap, a network and 15 GB
#
# The Debian stays in .build/debian13 for the next time, with what was built there. The sources are copied into it, so that
# nothing it does reaches them. Packages are those of deploy/packages.txt.
set -euo pipefail

# In namespaces of its own, so that no process and no mount is left however it ends. unshare(1) itself heeds no SIGTERM.
if [ "$1" != contained ]; then
  setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child --mount-proc "$0" contained "$@" &
  trap 'kill -KILL $! 2> /dev/null || true' EXIT
  trap 'exit 143' TERM
  trap 'exit 130' INT
  wait $!
  exit
fi
shift

repository="$(cd "$(dirname "$0")/../.." && pwd)"
toolchain="$(dirname "$(dirname "$(readlink -f "$1")")")"
shift
root="$repository/.build/debian13"
mirror="${MIRROR:-http://deb.debian.org}"

# Half a Debian, of an attempt that was ended, is made anew.
if ! [ -e "$root.made" ]; then
  rm -rf --one-file-system "$root"
  mkdir -p "$root"
  debootstrap --variant=minbase --include=ca-certificates,make trixie "$root" "$mirror/debian" > "$root.log" \
    || { cat "$root.log"; exit 1; }
  # No service that a package brings is started. Nothing of it would be missed after a crash.
  printf '#!/bin/sh\nexit 101\n' | install -m 755 /dev/stdin "$root/usr/sbin/policy-rc.d"
  echo force-unsafe-io > "$root/etc/dpkg/dpkg.cfg.d/unsafe-io"
  touch "$root.made"
fi
printf 'deb %s main\n' "$mirror/debian trixie" "$mirror/debian trixie-updates" "$mirror/debian-security trixie-security" \
  > "$root/etc/apt/sources.list"
cp --dereference /etc/resolv.conf /etc/hosts "$root/etc"

# Files keep their times, so that only what has changed is built.
sources="$root/srv/token-broker"
mkdir -p "$sources"
find "$sources" -mindepth 1 -maxdepth 1 ! -name .build -exec rm -rf {} +
tar --create --directory "$repository" --exclude='./.build*' --exclude='./.git' . | tar --extract --directory "$sources" --no-same-owner

mount --bind "$root" "$root"
mount --rbind /dev "$root/dev"
mount --rbind /sys "$root/sys"
mount -t proc proc "$root/proc"
mount -t tmpfs tmpfs "$root/tmp"
mount -t tmpfs tmpfs "$root/run"

# shown PATH AT: the same files, read-only.
shown() {
  mkdir -p "$root$2"
  mount --bind "$1" "$root$2"
  mount -o remount,bind,ro "$root$2"
}
shown "$toolchain" /opt/swift
# Where git here is told to fetch repositories from elsewhere, so it is there.
: > "$root/etc/gitconfig"
while read -r key url; do
  [ -n "$key" ] || continue
  git config --file "$root/etc/gitconfig" --add "$key" "$url"
  location="${key#url.}"
  location="${location%.insteadof}"
  [ ! -d "$location" ] || mountpoint --quiet "$root$location" || shown "$location" "$location"
done < <(git config --get-regexp '^url\..*\.insteadof$' || true)

# Not chroot(2), in which no user namespace can be made.
cd "$root"
pivot_root . mnt
exec chroot . /usr/bin/env -i HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
  PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/swift/bin \
  /bin/bash -euo pipefail -c '
    umount --lazy /mnt
    cd /srv/token-broker
    make --no-print-directory packages-toolchain
    echo "== Debian $(cat /etc/debian_version), $(ldd --version | sed -n 1p), $(swift --version 2>&1 | sed -n 1p)"
    exec make "$@"' debian13 "$@"
