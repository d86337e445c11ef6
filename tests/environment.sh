#!/usr/bin/env bash
# environment.sh SINK: the library reads no environment variable, for reading
# one races a host's setenv. A preloaded getenv that aborts proves it: over http,
# a host name, a proxy, and https.
set -euo pipefail
cd "$(dirname "$0")/.."
SINK=$1
. scripts/common.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
ship=$PWD/target/ship
cc -shared -fPIC -O1 tests/c/no_getenv.c -o "$work/no_getenv.so" -ldl
cc -O1 -Iinclude tests/c/environment.c "$ship/libphc.so" -Wl,-rpath,"$ship" -o "$work/environment"
start_sink "$work" --quiet
for variable in http_proxy HTTP_PROXY https_proxy ALL_PROXY; do export $variable=http://127.0.0.1:1; done
export SSL_CERT_FILE=/no/such/file RUST_BACKTRACE=1 TOKIO_WORKER_THREADS=many
run() { echo "$*"; LD_PRELOAD=$work/no_getenv.so timeout 60 "$work/environment" "$@"; }
run "http://127.0.0.1:$SINK_PORT" "" ok
run "http://localhost:$SINK_PORT" "" ok
# The sink takes a proxied request by its path, as any server does.
run "http://events.example" "http://127.0.0.1:$SINK_PORT" ok
run "https://127.0.0.1:$SINK_PORT" "" lost_events
run "https://events.example" "http://127.0.0.1:$SINK_PORT" lost_events
stop_sink
# The proof can fail: a program that does read one is stopped.
if LD_PRELOAD=$work/no_getenv.so timeout 10 "$work/environment" read-one "" "" 2>/dev/null; then
    echo "the preloaded getenv did not stop a reader" >&2
    exit 1
fi
echo "no environment variable was read"
