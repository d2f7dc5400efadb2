#!/usr/bin/env bash
# Installs the Debian package (`make deb`) in a Debian made by debootstrap, and runs its units under a real systemd there.
#
#   Tests/Deploy/systemd.sh PACKAGE [DIRECTORY]     needs root, debootstrap, systemd-container and a network; keeps the Debian
#                                                   in DIRECTORY, if given
#
# Shows: the package's dependencies are all it needs; the service starts as nobody's user, without capabilities and behind
# its filter of system calls; it gets its secret and its sockets from systemd, mints a token, knows a caller by its user,
# reloads, and stops with 0; while it is stopped, the sockets start it again. When it hangs, the watchdog has it started
# anew. With a wrong configuration it does not start, and however long callers wait at its sockets, it starts by itself
# once that is mended.
set -euo pipefail

package="$(readlink -f "$1")"
root="${2:-$(mktemp -d)}"
[ $# -gt 1 ] || trap 'rm -rf --one-file-system "$root" "$root.log" "$root.console"' EXIT
# In the container it is /, which every user must be able to enter.
chmod 755 "$root"

[ -e "$root/usr/bin/curl" ] || debootstrap --variant=minbase \
  --include=systemd,systemd-sysv,curl,ca-certificates bookworm "$root" > "$root.log"
# With its security updates, which the package asks for.
echo 'deb http://deb.debian.org/debian-security bookworm-security main' > "$root/etc/apt/sources.list.d/security.list"
cp "$package" "$root/token-broker.deb"
chroot "$root" /bin/sh -ec 'export DEBIAN_FRONTEND=noninteractive; apt-get update -qq
  apt-get install -qq -y --no-install-recommends ./token-broker.deb --reinstall' >> "$root.log" 2>&1 || { cat "$root.log"; exit 1; }
units="$root/etc/systemd/system"
mkdir -p "$root/etc/token-broker" "$units/token-broker.service.d"
cat > "$root/etc/token-broker/token-broker.yaml" <<'END'
callers:
  operator:
    unixUser: ["0"]
    audiences: [https://api.example.com/]
END
echo secret > "$root/etc/token-broker/auth0"
chmod 600 "$root"/etc/token-broker/*
# The embedded tenant, because the container reaches no other; all else is the unit's.
sed 's/ serve / dev /; /^ExecStart=/!d; s/^/ExecStart=\n/' "$root/usr/lib/systemd/system/token-broker.service" \
  | sed '1i [Service]\nWatchdogSec=4s' > "$units/token-broker.service.d/tenant.conf"

cat > "$root/try" <<'END'
#!/bin/bash
exec > /result 2>&1
fail() { echo "failed: $*"; journalctl --boot --unit token-broker --no-pager --output cat; systemctl poweroff --no-block; exit; }
get() { curl --silent --show-error --max-time 20 --path-as-is --output /tmp/answer --write-out '%{http_code}' "$@"; }
property() { systemctl show --value --property "$1" token-broker.service; }
logged() { journalctl --boot --unit token-broker --no-pager --output cat | grep --count "$1"; }
# eventually SECONDS COMMAND...: waits until the command succeeds.
eventually() { for _ in $(seq "$1"); do "${@:2}" && return; sleep 1; done; return 1; }

[ "$(get http://127.0.0.1:8080/healthz)" = 200 ] || fail "main listener: $(cat /tmp/answer)"
[ "$(get http://127.0.0.1:8081/readyz)" = 200 ] || fail "admin listener: $(cat /tmp/answer)"
[ "$(get --unix-socket /run/token-broker/http.sock http://broker/token/https://api.example.com/)" = 200 ] \
  || fail "Unix socket: $(cat /tmp/answer)"
[ "$(get http://127.0.0.1:8080/token/https://api.example.com/)" = 401 ] || fail "without proof: $(cat /tmp/answer)"
pid="$(property MainPID)"
grep -Eq '^CapEff:\s+0+$' "/proc/$pid/status" || fail "capabilities"
grep -Eq '^Seccomp:\s+2$' "/proc/$pid/status" || fail "no filter of system calls"
grep -Eq '^NoNewPrivs:\s+1$' "/proc/$pid/status" || fail "new privileges"
grep -Eq '^Uid:\s+0' "/proc/$pid/status" && fail "root"
[ "$(tr '\0' '\n' < "/proc/$pid/environ" | sed -n 's/^AUTH0_CLIENT_SECRET_FILE=//p')" = /run/credentials/token-broker.service/auth0 ] \
  || fail "the secret's file"
# errno 13 is a container's that may not raise limits, LimitNICE= among them.
journalctl --boot --unit token-broker --output cat | grep -i 'failed to' | grep -qv errno=13 && fail "it may not do all it must"
user="$(grep ^Uid "/proc/$pid/status")"

[ "$(property Type)" = notify ] || [ "$(property Type)" = notify-reload ] || fail "systemd is not told when it serves"
property StatusText | grep -q '^Serving at ' || fail "its status: $(property StatusText)"
systemctl reload token-broker.service || fail "it does not reload"
reloaded() { [ "$(logged 'the configuration was read again')" -ge 1 ]; }
eventually 5 reloaded || fail "the configuration was not read again"
[ "$(property ActiveState) $(property MainPID)" = "active $pid" ] || fail "after the reload: $(property ActiveState)"

kill -STOP "$pid"
restarted() { [ "$(property NRestarts) $(property ActiveState)" = "1 active" ]; }
eventually 30 restarted || fail "it hangs, and the watchdog does nothing: $(property NRestarts) $(property ActiveState)"
pid="$(property MainPID)"
[ "$(get http://127.0.0.1:8080/healthz)" = 200 ] || fail "after the watchdog: $(cat /tmp/answer)"
echo "the watchdog has had it started anew"

cp /etc/token-broker/token-broker.yaml /tmp/sound.yaml
echo 'callrs: 1' > /etc/token-broker/token-broker.yaml
! systemctl restart token-broker.service || fail "it starts with a wrong configuration"
[ "$(property ExecMainStatus)" = 78 ] || fail "a wrong configuration ends it with $(property ExecMainStatus)"
(while ! [ -e /tmp/mended ]; do get --max-time 3 http://127.0.0.1:8080/healthz > /dev/null 2>&1; done) &
often() { [ "$(logged 'callrs.*no such key')" -ge 7 ]; }
eventually 150 often || fail "with a caller that waits it is not started again: $(logged 'callrs.*no such key')"
systemctl is-active --quiet token-broker.socket token-broker-admin.socket || fail "its sockets have gone"
mv /tmp/sound.yaml /etc/token-broker/token-broker.yaml
mended() { [ "$(get http://127.0.0.1:8080/healthz)" = 200 ]; }
eventually 25 mended || fail "the configuration is mended, and it does not start: $(systemctl is-failed token-broker.service)"
touch /tmp/mended
echo "mended after $(logged 'callrs.*no such key') starts with a wrong configuration"
pid="$(property MainPID)"

systemctl stop token-broker.service
[ "$(stat --dereference --format %a /var/lib/token-broker/tokens)" = 600 ] || fail "its tokens are not kept for its next life"
[ "$(property Result) $(property ExecMainStatus)" = "success 0" ] || fail "stopped with $(property ExecMainStatus)"
[ "$(get http://127.0.0.1:8080/healthz)" = 200 ] || fail "the socket does not start it: $(cat /tmp/answer)"
[ "$(property MainPID)" != "$pid" ] || fail "it was not stopped"
echo "passed: $user"
grep -E '^(CapEff|NoNewPrivs|Seccomp)' "/proc/$(property MainPID)/status"
journalctl --boot --unit token-broker --no-pager --output cat
systemctl poweroff --no-block
END
chmod +x "$root/try"
rm -f "$root/result"
cat > "$units/try.service" <<'END'
[Unit]
After=token-broker.service

[Service]
ExecStart=/try
END
mkdir -p "$units/multi-user.target.wants" "$units/sockets.target.wants"
ln -sf ../try.service "$units/multi-user.target.wants/"
chroot "$root" systemctl --quiet enable token-broker.service token-broker.socket token-broker-admin.socket

timeout --kill-after=5 300 systemd-nspawn --quiet --directory="$root" --boot --register=no --keep-unit --private-network \
  --link-journal=no < /dev/null > "$root.console" 2>&1 || true
cat "$root/result"
grep -q ^passed "$root/result"
