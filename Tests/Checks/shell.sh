#!/usr/bin/env bash
# The shell scripts hold nothing that shellcheck warns of, but for backquotes in single quotes (SC2016): Markdown, here.
set -euo pipefail
cd "$(dirname "$0")/../.."

find .ci/run Tests deploy findings \( -name '*.sh' -o -path .ci/run \) -exec shellcheck --exclude=SC2016 {} +
