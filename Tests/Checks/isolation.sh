#!/usr/bin/env bash
# An optimised function that runs on its caller's actor, and awaits another actor last, must come back. Without the flag
# that Package.swift has for it, Swift 6.3.1 does not: once a compiler does, the flag can go.
set -euo pipefail

flag=$(grep -o 'sil-disable-pass=[a-z-]*' Package.swift)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

cat > "$folder/main.swift" << 'SWIFT'
import Dispatch

final class Loop: SerialExecutor {
  let queue = DispatchQueue(label: "loop")
  func enqueue(_ job: UnownedJob) {
    queue.async { unsafe job.runSynchronously(on: self.asUnownedSerialExecutor()) }
  }
}

let (loop, key) = (Loop(), DispatchSpecificKey<Bool>())
loop.queue.setSpecific(key: key, value: true)

actor Other { func value() -> Int { 1 } }

struct Client {
  let other = Other()
  // Optimised, it loses the argument that it does not use, and is another function then.
  @inline(never) func ask(_ unused: Int) async -> Int { await other.value() }
}

actor Caller {
  nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.asUnownedSerialExecutor() }
  let client = Client()
  func isBackAfterAsking() async -> Bool { await client.ask(0) == 1 && DispatchQueue.getSpecific(key: key) == true }
}

print(await Caller().isBackAfterAsking() ? "back" : "lost")
SWIFT

outcome() { # $@: flags
  swiftc -O -swift-version 6 -enable-upcoming-feature NonisolatedNonsendingByDefault "$@" \
    -o "$folder/program" "$folder/main.swift"
  timeout 60 "$folder/program"
}

with=$(outcome -Xllvm "-$flag") without=$(outcome)
[ "$with" = back ] || { echo "Package.swift: -$flag does not bring functions back to their actors"; exit 1; }
[ "$without" = lost ] || { echo "Package.swift: -$flag is needed no more: $(swiftc --version 2> /dev/null | head -1)"; exit 1; }
