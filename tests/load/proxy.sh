#!/usr/bin/env bash
# The proxy under load beside nginx as a plain reverse proxy with keepalive, in the same run: medians of five
# alternating runs, and their ratio. The upstream is an nginx that answers 1 KB.
# Usage: tests/load/proxy.sh [SECONDS A RUN, default 3]
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-3}
binary=${CARGO_TARGET_DIR:-target}/release/heimdall-proxy
data=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null; wait 2>/dev/null; rm -rf "$data"' EXIT

head -c 1024 /dev/zero | tr '\0' x >"$data/body"
cat >"$data/nginx.conf" <<N
worker_processes 2; daemon off; pid $data/nginx.pid; error_log $data/error.log crit;
events { worker_connections 4096; }
http {
  access_log off; client_body_temp_path $data/b; proxy_temp_path $data/p; fastcgi_temp_path $data/f; uwsgi_temp_path $data/u; scgi_temp_path $data/s;
  keepalive_requests 1000000000;
  server { listen 127.0.0.1:19180 backlog=4096; location / { default_type text/plain; alias $data/body; } }
  upstream back { server 127.0.0.1:19180; keepalive 128; keepalive_requests 1000000000; }
  server { listen 127.0.0.1:19181 backlog=4096; location / { proxy_pass http://back; proxy_http_version 1.1; proxy_set_header Connection ""; } }
}
N
# The upstream serves one file for every path.
sed -i "s|location / { default_type text/plain; alias $data/body; }|location / { default_type text/plain; return 200 \"$(cat "$data/body")\"; }|" "$data/nginx.conf"
nginx -c "$data/nginx.conf" -p "$data" & pids+=($!)
openssl ecparam -name prime256v1 -genkey -noout 2>/dev/null | openssl pkcs8 -topk8 -nocrypt -out "$data/ec.pem" 2>/dev/null

cat >"$data/rules.yaml" <<R
version: "1alpha4"
name: load
rules:
  - id: whole
    match: {routes: [{path: "/whole/**"}]}
    forward_to: {host: "127.0.0.1:19180"}
    execute: [{authenticator: anyone}, {finalizer: token}, {finalizer: who}]
  - id: anonymous
    match: {routes: [{path: "/anonymous/**"}]}
    forward_to: {host: "127.0.0.1:19180"}
    execute: [{authenticator: anyone}]
  - id: fresh
    match: {routes: [{path: "/fresh/**"}]}
    forward_to: {host: "127.0.0.1:19180"}
    execute: [{authenticator: anyone}, {finalizer: fresh}]
R
config() { # SERVICE MANAGEMENT
cat <<C
serve: {host: 127.0.0.1, port: $1}
management: {host: 127.0.0.1, port: $2}
metrics: {enabled: false}
tracing: {enabled: false}
log: {level: error}
mechanisms:
  authenticators: [{id: anyone, type: anonymous}]
  finalizers:
    - {id: who, type: header, config: {headers: {X-User: '{{ .Subject.ID }}'}}}
    - {id: token, type: jwt, config: {signer: {key_store: {path: $data/ec.pem}}}}
    - {id: fresh, type: jwt, config: {ttl: 2s, signer: {key_store: {path: $data/ec.pem}}}}
providers: {file_system: {src: $data/rules.yaml}}
C
}
config 19182 19183 >"$data/proxy.yaml"; config 19184 19185 >"$data/decision.yaml"
"$binary" serve proxy -c "$data/proxy.yaml" --insecure & pids+=($!); proxy=$!
"$binary" serve decision -c "$data/decision.yaml" --insecure & pids+=($!)
for port in 19180 19181 19182 19184; do
    for _ in $(seq 200); do (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break; sleep 0.02; done
done

rate() { wrk -t1 -c64 -d"${seconds}s" --latency "$1" | awk '
    /Requests\/sec/ { r = $2 } /99%/ { p = $2; s = p ~ /us$/ ? 0.001 : p ~ /ms$/ ? 1 : 1000; p = p * s } /Non-2xx/ { bad = $NF } END { print r, p, bad + 0 }'; }
compare() { # NAME URL
    local a=() b=() p=() q=()
    rate "$2" >/dev/null
    for _ in 1 2 3 4 5; do
        read -r r l bad < <(rate "$2")
        [ "$bad" = 0 ] || { echo "$1: $bad answers were errors"; exit 1; }
        a+=("$r") p+=("$l")
        read -r r l bad < <(rate http://127.0.0.1:19181/)
        b+=("$r") q+=("$l")
    done
    python3 - "$1" "${a[*]}" "${b[*]}" "${p[*]}" "${q[*]}" <<'P'
import statistics, sys
ours, peer, late, peer_late = (statistics.median(map(float, text.split())) for text in sys.argv[2:6])
print(f"{sys.argv[1]}: {ours:,.0f}/s, nginx {peer:,.0f}/s, ratio {ours / peer:.2f}, p99 {late:.2f} ms, nginx {peer_late:.2f} ms, ratio {late / peer_late:.2f}")
P
}
compare "anonymous, cached jwt, header" http://127.0.0.1:19182/whole/x
compare "anonymous alone" http://127.0.0.1:19182/anonymous/x
compare "decision mode, anonymous" http://127.0.0.1:19184/anonymous/x
awk '/^VmRSS/ { print "resident: " $2 " kB" }' "/proc/$proxy/status"
