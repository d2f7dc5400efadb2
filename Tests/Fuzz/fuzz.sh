#!/usr/bin/env bash
# fuzz.sh FUZZER DIRECTORY SECONDS [TARGET]...: lets libFuzzer have each target, or those named, for so long, and says what
# came of it. What it has learned stays in the directory for the next run, and what it has found, too: such an input goes
# into Corpus, where `make test` plays it from then on.
set -euo pipefail
fuzzer=$1 directory=$2 seconds=$3
shift 3
here=$(cd "$(dirname "$0")" && pwd)
if [ $# = 0 ]; then
  mapfile -t targets < <(ls "$here/Corpus")
  set -- "${targets[@]}"
fi
# Else Swift's own handler would end the process before libFuzzer has kept the input.
export SWIFT_BACKTRACE=enable=no

mkdir -p "$directory/findings"
status=0
printf '%-14s %9s %12s %7s  %s\n' target seconds executions edges findings
for target; do
  mkdir -p "$directory/corpus/$target"
  log="$directory/$target.log"
  options=(-max_total_time="$seconds" -max_len=4096 -print_final_stats=1
    # Objects that outlive a run would be taken for leaks, again and again; what grows without end meets the limit of 2 GB.
    -detect_leaks=0 -artifact_prefix="$directory/findings/$target-")
  if [ -e "$here/$target.dict" ]; then options+=(-dict="$here/$target.dict"); fi
  finding=none
  if ! FUZZ_TARGET=$target "$fuzzer" "${options[@]}" "$directory/corpus/$target" "$here/Corpus/$target" > "$log" 2>&1; then
    finding=$(grep -m1 -oE 'Fatal error: .*|ERROR: .*' "$log" || echo "see $log")
    status=1
  fi
  awk -v target="$target" -v finding="$finding" '
    / cov: / { for (i = 1; i < NF; i++) if ($i == "cov:") edges = $(i + 1) }
    /^stat::number_of_executed_units/ { executions = $2 }
    /^Done .* runs in/ { seconds = $5 }
    END { printf "%-14s %9s %12s %7s  %s\n", target, seconds, executions, edges, substr(finding, 1, 300) }' "$log"
done
if [ $status != 0 ]; then echo "The inputs are in $directory/findings, the logs in $directory."; fi
exit $status
