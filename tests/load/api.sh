#!/usr/bin/env bash
# The api under load beside two peers in the same run: a bare stub and npm `oidc-provider`. Medians of five alternating
# runs, and their ratios. Usage: tests/load/api.sh [SECONDS A RUN, default 3]
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-3}
target=${CARGO_TARGET_DIR:-target}/release
data=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null; wait 2>/dev/null; rm -rf "$data"' EXIT
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
stub_port=$(free_port) oidc_port=$(free_port)

# One source must be able to ask as often as it can; everything else is as it comes.
umask 077
head -c 32 /dev/urandom | base64 >"$data/root.key"
cat >"$data/api.yaml" <<Y
database: {url: "sqlite://$data/heimdall.db"}
root_key: "file:$data/root.key"
api: {listen: "127.0.0.1:0"}
limits: {per_second: 0, burst: 0, logins_per_account: 0, logins_per_source: 0, links_per_second: 0}
log: {format: json}
Y
"$target/examples/bare_stub" "127.0.0.1:$stub_port" & pids+=($!)
(exec node tests/load/oidc-provider.mjs "$oidc_port") >"$data/oidc.log" 2>&1 & pids+=($!)
oidc=$!
key=${KEY:-}
heimdall_bin=${HEIMDALL:-$target/heimdall}
key=$("$heimdall_bin" admin-keys create load --data "$data" --root-key-file "$data/root.key" --json |
    python3 -c 'import json,sys; print(json.load(sys.stdin)["key"])')
"$target/heimdall-api" --config "$data/api.yaml" >"$data/log" 2>&1 & pids+=($!)
heimdall=$!
until grep -q '"address":"' "$data/log"; do sleep 0.05; done
api=$(sed -n 's/.*"address":"\([^"]*\)".*/\1/p' "$data/log" | head -n 1)/heimdall
until grep -q ready "$data/oidc.log"; do
    kill -0 "$oidc" 2>/dev/null || { cat "$data/oidc.log"; exit 1; }
    sleep 0.05
done
rss() { awk '/^VmRSS/ { print $2 }' "/proc/$1/status"; }
echo "resident after the start: $(rss "$heimdall") kB (oidc-provider $(rss "$oidc") kB)"

post() { # PATH JSON -> the answer
    curl -sf "$api/v1$1" -H "Authorization: Bearer $key" -H 'Content-Type: application/json' -d "$2"
}
member() { python3 -c 'import json,sys; print(json.loads(sys.argv[1])[sys.argv[2]])' "$1" "$2"; }
post /apps '{"name":"acme"}' >/dev/null
post /apps/acme/roles '{"name":"reporter","permissions":["billing:read","reports:read"]}' >/dev/null
post /apps/acme/users '{"email":"jo@acme.example","password":"a long enough sentence","role":"reporter"}' >/dev/null
credential=$(post /apps/acme/credentials '{"name":"load","roles":["reporter"]}')
ours="grant_type=client_credentials&client_id=$(member "$credential" client_id)&client_secret=$(member "$credential" client_secret)"
stub="grant_type=client_credentials&client_id=stub&client_secret=stub-secret-stub-secret-stub-secret-stub-secret"
theirs="grant_type=client_credentials&client_id=load&client_secret=load-secret-load-secret-load-secret&scope=billing:read"
token_of() { curl -sf "$1" -d "$2" | python3 -c 'import json,sys; print(json.load(sys.stdin)["access_token"])'; }
token=$(token_of "$api/v1/apps/acme/tokens" "$ours")
stub_token=$(token_of "http://127.0.0.1:$stub_port/token" "$stub")
their_token=$(token_of "http://127.0.0.1:$oidc_port/token" "$theirs")

rate() { # URL -> "requests-a-second p99 errors"
    wrk -t1 -c32 -d"${seconds}s" --latency ${SCRIPT:+-s "$SCRIPT"} "$1" | awk '
    /Requests\/sec/ { r = $2 } /99%/ { p = $2 } /Non-2xx/ { bad = $NF } END { print r, p, bad + 0 }'
}
# NAME WANTED, then URL BODY AUTHORIZATION of ours, the stub and the other provider.
compare() {
    local a=() b=() c=() p=() r l bad
    for _ in 1 2 3 4 5; do
        read -r r l bad < <(BODY=$4 AUTH=$5 rate "$3")
        [ "$bad" = 0 ] || { echo "$1: $bad answers were errors"; exit 1; }
        a+=("$r") p+=("$l")
        read -r r l bad < <(BODY=$7 AUTH=$8 rate "$6")
        b+=("$r")
        if [ -n "${9:-}" ]; then
            read -r r l bad < <(BODY=${10} AUTH=${11} rate "$9")
            [ "$bad" = 0 ] || { echo "$1: $bad answers of oidc-provider were errors"; exit 1; }
            c+=("$r")
        fi
    done
    python3 - "$1" "$2" "${a[*]}" "${b[*]}" "${c[*]:-}" "${p[*]}" <<'P'
import re, statistics, sys
name, wanted = sys.argv[1:3]
ours, stub, other = ([float(x) for x in text.split()] for text in sys.argv[3:6])
o, s = statistics.median(ours), statistics.median(stub)
unit = {"us": 0.001, "ms": 1, "s": 1000}
p99 = statistics.median(float(m[1]) * unit[m[2]] for m in (re.match(r"([\d.]+)(us|ms|s)", x) for x in sys.argv[6].split()))
line = f"{name}: {o:,.0f}/s, stub {s:,.0f}/s, ratio {o / s:.2f} (wanted {wanted}), p99 {p99:.2f} ms"
if other:
    t = statistics.median(other)
    line += f"; oidc-provider {t:,.0f}/s, we are {o / t:.1f} times as fast"
print(line)
P
}
base=http://127.0.0.1
SCRIPT=tests/load/post.lua
compare "client_credentials ES256" 0.70 "$api/v1/apps/acme/tokens" "$ours" "" "$base:$stub_port/token" "$stub" "" "$base:$oidc_port/token" "$theirs" ""
echo "resident after it: $(rss "$heimdall") kB (wanted under 40,000; oidc-provider $(rss "$oidc") kB)"
compare "introspection" 0.80 "$api/v1/apps/acme/tokens/introspect" "token=$token" "Bearer $key" "$base:$stub_port/introspect" "token=$stub_token" ""
TYPE=application/json compare "authorize" 0.97 "$api/v1/apps/acme/authorize" '{"permission":"billing:read"}' "Bearer $token" "$base:$stub_port/introspect" "token=$stub_token" ""
SCRIPT=
compare "JWKS" 0.60 "$api/v1/.well-known/jwks.json" "" "" "$base:$stub_port/jwks" "" "" "$base:$oidc_port/jwks" "" ""

# Logins burn the cores that hashing may have; tokens go on meanwhile.
SCRIPT=tests/load/post.lua
alone=$(BODY=$ours rate "$api/v1/apps/acme/tokens")
BODY='{"email":"jo@acme.example","password":"a long enough sentence"}' TYPE=application/json wrk -t1 -c4 -d"$((seconds + 2))s" -s tests/load/post.lua \
    "$api/v1/apps/acme/sessions" >"$data/logins" & logins=$!
sleep 0.5
meanwhile=$(BODY=$ours rate "$api/v1/apps/acme/tokens")
wait "$logins"
python3 - "$alone" "$meanwhile" "$(cat "$data/logins")" <<'P'
import re, sys
alone, meanwhile = (text.split() for text in sys.argv[1:3])
logins = re.search(r"Requests/sec:\s+([\d.]+)", sys.argv[3])[1]
print(f"logins (argon2id): {logins}/s; tokens meanwhile {float(meanwhile[0]):,.0f}/s, {float(meanwhile[0]) / float(alone[0]):.2f} of {float(alone[0]):,.0f}/s alone (wanted 0.45), p99 {meanwhile[1]}")
P
echo "resident after all of it: $(rss "$heimdall") kB"
