#!/usr/bin/env bash
# The api under load beside a bare stub in the same run: medians of five alternating runs, and their ratio.
# Usage: tests/load/api.sh [SECONDS A RUN, default 3]
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-3}
target=${CARGO_TARGET_DIR:-target}/release
data=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null; wait 2>/dev/null; rm -rf "$data"' EXIT

"$target/examples/bare_stub" 127.0.0.1:19090 & pids+=($!)
"$target/heimdall" up --data "$data" --ready-file "$data/ready.json" --api 127.0.0.1:0 --approvals 127.0.0.1:0 \
    --proxy 127.0.0.1:0 --management 127.0.0.1:0 >"$data/log" 2>&1 & pids+=($!)
heimdall=$!
while [ ! -s "$data/ready.json" ]; do sleep 0.01; done
field() { python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$data/ready.json" "$1"; }
api=$(field api)
key=$(field admin_key)

credential=$(curl -sf "$api/v1/apps/acme/credentials" -H "Authorization: Bearer $key" -H 'Content-Type: application/json' \
    -d '{"name":"load","roles":["billing-viewer"]}')
id=$(python3 -c 'import json,sys; print(json.loads(sys.argv[1])["client_id"])' "$credential")
secret=$(python3 -c 'import json,sys; print(json.loads(sys.argv[1])["client_secret"])' "$credential")
ours="grant_type=client_credentials&client_id=$id&client_secret=$secret"
stub="grant_type=client_credentials&client_id=stub&client_secret=stub-secret-stub-secret-stub-secret-stub-secret"
token=$(curl -sf "$api/v1/apps/acme/tokens" -d "$ours" | python3 -c 'import json,sys; print(json.load(sys.stdin)["access_token"])')
stub_token=$(curl -sf http://127.0.0.1:19090/token -d "$stub" | python3 -c 'import json,sys; print(json.load(sys.stdin)["access_token"])')

rate() { wrk -t1 -c32 -d"${seconds}s" --latency ${SCRIPT:+-s "$SCRIPT"} "$1" | awk '
    /Requests\/sec/ { r = $2 } /99%/ { p = $2 } /Non-2xx/ { bad = $NF } END { print r, p, bad + 0 }'; }
compare() { # NAME OURS-URL OURS-BODY OURS-AUTH STUB-URL STUB-BODY
    local a=() b=() p=()
    for _ in 1 2 3 4 5; do
        read -r r l bad < <(BODY=$3 AUTH=$4 rate "$2")
        [ "$bad" = 0 ] || { echo "$1: $bad answers were errors"; exit 1; }
        a+=("$r") p+=("$l")
        read -r r l bad < <(BODY=$6 rate "$5")
        b+=("$r")
    done
    python3 - "$1" "${a[*]}" "${b[*]}" "${p[*]}" <<'P'
import statistics, sys
ours, stub = (statistics.median(map(float, text.split())) for text in sys.argv[2:4])
print(f"{sys.argv[1]}: {ours:,.0f}/s, stub {stub:,.0f}/s, ratio {ours / stub:.2f}, p99 {sorted(sys.argv[4].split())[2]}")
P
}
SCRIPT=tests/load/post.lua
compare "client_credentials ES256" "$api/v1/apps/acme/tokens" "$ours" "" http://127.0.0.1:19090/token "$stub"
compare "introspection" "$api/v1/apps/acme/tokens/introspect" "token=$token" "Bearer $key" http://127.0.0.1:19090/introspect "token=$stub_token"
TYPE=application/json compare "authorize" "$api/v1/apps/acme/authorize" '{"permission":"billing:read"}' "Bearer $token" http://127.0.0.1:19090/introspect "token=$stub_token"
SCRIPT=
compare "JWKS" "$api/v1/.well-known/jwks.json" "" "" http://127.0.0.1:19090/jwks ""
awk '/^VmRSS/ { print "resident after all of it: " $2 " kB" }' "/proc/$heimdall/status"
