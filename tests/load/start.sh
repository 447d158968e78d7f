#!/usr/bin/env bash
# Time until ready and memory of `heimdall up`, on an empty folder and on the same one again. Medians of five.
set -euo pipefail
cd "$(dirname "$0")/../.."
bin=${CARGO_TARGET_DIR:-target}/release/heimdall
data=$(mktemp -d)
trap 'rm -rf "$data"' EXIT
median() { sort -n | sed -n 3p; }

once() { # FOLDER -> "milliseconds kilobytes"
    rm -f "$1/ready.json"
    local began ended pid
    began=$(date +%s%N)
    "$bin" up --data "$1" --ready-file "$1/ready.json" --api 127.0.0.1:0 --approvals 127.0.0.1:0 --proxy 127.0.0.1:0 \
        --management 127.0.0.1:0 >/dev/null 2>&1 &
    pid=$!
    while [ ! -s "$1/ready.json" ]; do sleep 0.002; done
    ended=$(date +%s%N)
    echo "$(((ended - began) / 1000000)) $(awk '/^VmRSS/ { print $2 }' "/proc/$pid/status")"
    kill "$pid"
    wait "$pid" || true
}

for i in 1 2 3 4 5; do mkdir -p "$data/$i"; done
empty=$(for i in 1 2 3 4 5; do once "$data/$i"; done)
filled=$(for _ in 1 2 3 4 5; do once "$data/1"; done)
echo "empty folder:  ready in $(cut -d' ' -f1 <<<"$empty" | median) ms, $(cut -d' ' -f2 <<<"$empty" | median) kB resident"
echo "filled folder: ready in $(cut -d' ' -f1 <<<"$filled" | median) ms, $(cut -d' ' -f2 <<<"$filled" | median) kB resident"
