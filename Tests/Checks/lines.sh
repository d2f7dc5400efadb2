#!/usr/bin/env bash
# Lines of Swift have at most 120 columns, comments too, and files in Sources at most 400. No comment begins with "Of".
# The README has at most 150 lines.
set -euo pipefail
cd "$(dirname "$0")/../.."
# So that grep counts characters and not bytes.
export LC_ALL=C.UTF-8
failed=

# refuse PATTERN WHAT: no line of Swift may have this in it.
refuse() {
  local places
  places=$(grep -rnE --include='*.swift' "$1" Package.swift Sources Tests | cut -d: -f1,2) || return 0
  while read -r place; do echo "$place: $2"; done <<< "$places"
  failed=yes
}
refuse '^.{121}' 'a line of more than 120 columns'
refuse '(^|[[:space:]])///?[[:space:]]*Of\b' \
  'a comment that begins with "Of", where a sentence with a subject is expected'

while read -r lines file; do
  if [ "$lines" -gt 400 ]; then
    echo "$file: $lines lines, where at most 400 are expected"
    failed=yes
  fi
done < <(find Sources -name '*.swift' -exec wc -l {} \; | sort -k2)
lines=$(wc -l < README.md)
if [ "$lines" -gt 150 ]; then
  echo "README.md: $lines lines, where at most 150 are expected; docs/ has room"
  failed=yes
fi
[ -z "$failed" ]
