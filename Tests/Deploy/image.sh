#!/usr/bin/env bash
# Builds the image of the Dockerfile and runs it, where there is no Docker and no registry: with buildah and runc, on a
# stand-in for the official Swift image made of Debian (debootstrap) and the toolchain that is installed here.
#
#   Tests/Deploy/image.sh [DIRECTORY]     needs root, buildah, runc, debootstrap and 15 GB; keeps its work in DIRECTORY, if given
#
# Shows: the Dockerfile builds; the image runs as nobody in particular, with a read-only root, without capabilities and
# without a shell; its health check turns green; it serves tokens; SIGTERM ends it with 0. Prints what the image weighs.
set -euo pipefail

repository="$(cd "$(dirname "$0")/../.." && pwd)"
temporary=
[ $# -gt 0 ] || temporary=yes
work="${1:-$(mktemp -d)}"
mkdir -p "$work"
toolchain="${TOOLCHAIN:-$(dirname "$(dirname "$(readlink -f "$(command -v swift)")")")}"
base="$(sed -n 's/^ARG BASE=//p' "$repository/Dockerfile")"

# Overlay where the kernel lets us: vfs copies the toolchain for every layer.
buildah() {
  command buildah --root "$work/storage" --runroot "$work/run" --storage-driver "${STORAGE_DRIVER:-overlay}" "$@"
}

# Where git here is told to fetch repositories from elsewhere, so is git in the build.
mirrors=()
: > "$work/gitconfig"
while read -r key url; do
  [ -n "$key" ] || continue
  git config --file "$work/gitconfig" --add "$key" "$url"
  location="${key#url.}"
  location="${location%.insteadof}"
  [ ! -d "$location" ] || mirrors=(--volume "$location:$location:ro")
done < <(git config --get-regexp '^url\..*\.insteadof$' || true)

if ! buildah inspect --type image "$base" > /dev/null 2>&1; then
  echo "== $base, from Debian and $toolchain"
  [ -e "$work/base/usr/bin/g++" ] || debootstrap --variant=minbase --components=main \
    --include="$(awk '/^#/ { on = $2 == "toolchain:" } !/^#/ && on' "$repository/deploy/packages.txt" | paste -sd ,)" \
    bookworm "$work/base" > "$work/debootstrap.log"
  tar --create --directory "$toolchain" --exclude='*lldb*' --exclude='*musl*' --exclude='*wasm*' --exclude='*embedded*' \
    --exclude='bin/clangd' --exclude='bin/sourcekit-lsp' --exclude='bin/docc' . \
    | tar --extract --directory "$work/base/usr" --no-same-owner
  cp "$work/gitconfig" "$work/base/etc/gitconfig"
  container="$(buildah from scratch)"
  buildah add --quiet "$container" "$work/base" /
  buildah config --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$container"
  buildah commit --quiet --rm "$container" "localhost/$base"
  rm -rf "$work/base"
fi

echo "== build"
buildah bud --isolation chroot --pull-never --format docker --layers "${mirrors[@]}" \
  --build-arg REVISION="$(git -C "$repository" rev-parse HEAD)" --tag token-broker "$repository"

echo "== what is in it"
container="$(buildah from --pull-never token-broker)"
root="$(buildah mount "$container")"
trap 'buildah rm "$container" > /dev/null' EXIT
rm -rf "$work/oci"
buildah push --quiet --format oci token-broker "oci:$work/oci:token-broker"
echo "compressed: $(du --bytes --summarize "$work/oci/blobs" | cut -f1) bytes, by layers:"
find "$work/oci/blobs" -type f -printf '  %s\n' | sort -rn
echo "the heaviest, uncompressed:"
find "$root" -type f -printf '  %s %P\n' | sort -k1,1rn | sed -n 1,12p
for name in sh bash dash busybox; do
  [ -z "$(find "$root" -name "$name" -print -quit)" ] || { echo "there is a shell: $name"; exit 1; }
done
[ -z "$(find "$root" -perm /6000 -print -quit)" ] || { echo "something in it is setuid or setgid"; exit 1; }

echo "== run"
buildah inspect --type image token-broker > "$work/image.json"
mkdir -p "$work/bundle"
python3 "$repository/Tests/Deploy/bundle.py" "$work/image.json" "$root" "$work/bundle" dev
id="token-broker-$$"
runc() { command runc --root "$work/runc" "$@"; }
rm -f "$work/pid"
# Its network is its own, with nothing but loopback.
runc run --bundle "$work/bundle" --pid-file "$work/pid" "$id" > "$work/output" 2> "$work/errors" &
runner=$!
# shellcheck disable=SC2317 # The trap calls it.
end() {
  runc delete --force "$id" 2> /dev/null || true
  buildah rm "$container" > /dev/null
  [ -z "$temporary" ] || { umount --recursive "$work/storage/overlay" 2> /dev/null || true; rm -rf --one-file-system "$work"; }
}
trap end EXIT

mapfile -t health < "$work/bundle/healthcheck"
for attempt in {1..50}; do
  if [ -e "$work/pid" ] && runc exec "$id" "${health[@]}" 2> "$work/health"; then break; fi
  [ "$attempt" -lt 50 ] || { cat "$work/health" "$work/errors"; exit 1; }
  sleep 0.1
done
pid="$(cat "$work/pid")"
echo "health check green: ${health[*]}"
! runc exec "$id" token-broker health --url http://127.0.0.1:9 2> /dev/null || { echo "healthy where nobody is"; exit 1; }
runc exec "$id" token-broker health --ready
grep -E '^(Uid|Gid|CapEff|NoNewPrivs|Seccomp):' "/proc/$pid/status"
grep -E '^Uid:\s+65532\s+65532' "/proc/$pid/status" > /dev/null
grep -E '^CapEff:\s+0+$' "/proc/$pid/status" > /dev/null
awk '$5 == "/" && $6 !~ /(^|,)ro(,|$)/ { exit 1 }' "/proc/$pid/mountinfo" || { echo "the root is writable"; exit 1; }
echo "the root is read-only"
nsenter --target "$pid" --net curl --silent --show-error --fail --max-time 10 \
  http://127.0.0.1:8080/token/https%3A%2F%2Fapi.example.com%2F | cut -c 1-40
runc exec "$id" token-broker token https://api.example.com/ --header | cut -c 1-40
# The tenant is nobody's authority: that its certificate is refused as such, and for nothing else, shows that the trust
# store is there.
tenant="$(sed -n 's/^The development tenant is at \([^ ,]*\),.*/\1/p' "$work/output")"
runc exec --env AUTH0_DOMAIN="$tenant" --env AUTH0_CLIENT_ID=x --env AUTH0_CLIENT_SECRET=x "$id" \
  token-broker check --audience https://api.example.com/ > "$work/check" 2>&1 || true
grep '^failed' "$work/check"
grep '^failed  tls .*self-signed certificate' "$work/check" > /dev/null
runc kill "$id" SIGTERM
status=0
wait "$runner" || status=$?
echo "SIGTERM: exit status $status"
tail -n 2 "$work/errors"
exit "$status"
