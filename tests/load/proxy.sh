#!/usr/bin/env bash
# The proxy under load beside nginx as a plain reverse proxy with keepalive, in the same run: medians of five
# alternating runs and their ratio, then memory, rule counts, idle connections and rules that change under load.
# The upstream is an nginx that answers 1 KB. Takes about five minutes with runs of two seconds.
#
# Usage: tests/load/proxy.sh [--seconds N] [--rounds N] [--only PART[,PART…]]
#   parts: rates, rules, load, idle, reload
# PEER_HEIMDALL=/path/to/heimdall also measures the Go program with the same rules.
set -euo pipefail
cd "$(dirname "$0")/../.."
exec python3 tests/load/proxy/measure.py --binary "${CARGO_TARGET_DIR:-target}/release/heimdall-proxy" "$@"
