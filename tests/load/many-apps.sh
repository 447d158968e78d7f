#!/usr/bin/env bash
# 1,000 Apps with 1,000 users each on SQLite: memory, time to start, and tokens of many Apps against those of one.
# Usage: tests/load/many-apps.sh [APPS, default 1000] [USERS EACH, default 1000]
set -euo pipefail
cd "$(dirname "$0")/../.."
apps=${1:-1000} users=${2:-1000}
target=${CARGO_TARGET_DIR:-target}/release
data=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill "$pid" 2>/dev/null; wait 2>/dev/null; rm -rf "$data"' EXIT
umask 077
head -c 32 /dev/urandom | base64 >"$data/root.key"
cat >"$data/api.yaml" <<Y
database: {url: "sqlite://$data/heimdall.db"}
root_key: "file:$data/root.key"
api: {listen: "127.0.0.1:0"}
limits: {per_second: 0, burst: 0}
log: {format: json}
Y
key=$("${HEIMDALL:-$target/heimdall}" admin-keys create load --data "$data" --root-key-file "$data/root.key" --json |
    python3 -c 'import json,sys; print(json.load(sys.stdin)["key"])')
start() {
    local began ended
    : >"$data/log"
    began=$(date +%s%N)
    "$target/heimdall-api" --config "$data/api.yaml" >"$data/log" 2>&1 & pid=$!
    until grep -q '"address":"' "$data/log"; do sleep 0.002; done
    ended=$(date +%s%N)
    api=$(sed -n 's/.*"address":"\([^"]*\)".*/\1/p' "$data/log" | head -n 1)/heimdall
    took=$(((ended - began) / 1000000))
}
stop() { kill "$pid"; wait "$pid" || true; pid=; }
rss() { awk '/^VmRSS/ { print $2 }' "/proc/$pid/status"; }

start
python3 tests/load/fill.py "$api" "$key" "$apps" "$users" "$data/credentials.json"
stop
start
echo "$apps Apps with $users users each: ready in $took ms (wanted 200), $(rss) kB resident"
cat >"$data/many.lua" <<'L'
local bodies, n = {}, 0
for line in io.lines(os.getenv("BODIES")) do bodies[#bodies + 1] = line end
local only = tonumber(os.getenv("ONLY") or #bodies)
request = function()
    n = n % only + 1
    return wrk.format("POST", "/heimdall/v1/tokens", { ["Content-Type"] = "application/x-www-form-urlencoded" }, bodies[n])
end
L
python3 - "$data/credentials.json" >"$data/bodies" <<'P'
import json, sys
for c in json.load(open(sys.argv[1])):
    print(f"grant_type=client_credentials&client_id={c['client_id']}&client_secret={c['client_secret']}")
P
rate() { BODIES=$data/bodies ONLY=$1 wrk -t1 -c32 -d3s -s "$data/many.lua" "$api/v1/tokens" | awk '/Requests\/sec/ { r = $2 } /Non-2xx/ { bad = $NF } END { if (bad) exit 1; print r }'; }
one=() many=()
for _ in 1 2 3 4 5; do one+=("$(rate 1)") many+=("$(rate "$apps")"); done
python3 -c 'import statistics,sys; o, m = (statistics.median(map(float, t.split())) for t in sys.argv[1:]); print(f"tokens of one App {o:,.0f}/s, of all Apps in turn {m:,.0f}/s, ratio {m / o:.2f} (wanted 0.90)")' "${one[*]}" "${many[*]}"
echo "resident after it: $(rss) kB (wanted under 60,000)"
stop
