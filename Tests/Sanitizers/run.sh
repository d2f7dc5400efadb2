#!/usr/bin/env bash
# run.sh thread|address BUILD [ARGUMENT]...: runs the tests that `swift build --sanitize` has put into that directory, with
# these arguments to `swift test`. What the sanitizer says of them, or of a program that they start, fails the run.
set -euo pipefail
sanitizer=$1 build=$2
shift 2
reports=$PWD/$build/reports
rm -rf "$reports"
mkdir -p "$reports"

case $sanitizer in
  thread)
    clang -shared -fPIC -O1 "$(dirname "$0")/mutex.c" -o "$build/mutex.so"
    export LD_PRELOAD=$PWD/$build/mutex.so TSAN_OPTIONS="log_path=$reports/report exitcode=0"
    ;;
  address)
    export ASAN_OPTIONS="log_path=$reports/report"
    here=$PWD/$(dirname "$0")
    export LSAN_OPTIONS="suppressions=$here/leaks.txt print_suppressions=0"
    ;;
  *)
    echo "SANITIZE is thread or address, not '$sanitizer'"
    exit 64
    ;;
esac
# For the tests themselves (Tests/TestSupport/Sanitizer.swift).
export SANITIZER=$sanitizer
status=0
# One by one: they have deadlines, and take many times as long.
swift test --skip-build --no-parallel --sanitize "$sanitizer" --scratch-path "$build" "$@" || status=$?
for report in "$reports"/*; do
  [ -e "$report" ] || continue
  cat "$report"
  status=1
done
exit $status
