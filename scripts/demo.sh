#!/usr/bin/env bash
# make demo: the C example against the local sink, or against a real server.
#   demo.sh PREFIX_OF_AN_INSTALLATION SINK [HOST API_KEY]
set -euo pipefail
prefix=$1 SINK=$2 host=${3-} api_key=${4-}
cd "$(dirname "$0")/.."
. scripts/common.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

echo "== compile examples/c/quickstart.c against $prefix"
export PKG_CONFIG_PATH="$prefix/lib/pkgconfig"
flags=$(pkg-config --define-variable=prefix="$prefix" --cflags --libs phc)
# shellcheck disable=SC2086 # the flags are several words
cc -std=c11 -Wall -Wextra -Werror examples/c/quickstart.c $flags -Wl,-rpath,"$prefix/lib" -o "$work/quickstart"

if [ -n "$host" ]; then
    echo "== run it against $host"
    exec "$work/quickstart" "$host" "$api_key"
fi

# One 503 first; then one event is to be retried and one is dropped.
cat >"$work/script.json" <<'SCRIPT'
{"steps": [
  {"status": 503, "headers": {"Retry-After": "1"}},
  {"verdicts": {"button clicked": {"result": "drop", "details": "scripted: refused for good"},
                "order placed": {"result": "retry", "details": "scripted: try again"},
                "*": "ok"}}
]}
SCRIPT
start_sink "$work" --script "$work/script.json"
echo "== run it against phc-sink on port $SINK_PORT: a 503 first, then one retry and one drop"
status=0
"$work/quickstart" "http://127.0.0.1:$SINK_PORT" phc_demo >"$work/program.log" 2>&1 || status=$?
summary=$(curl -fsS "http://127.0.0.1:$SINK_PORT/_summary")
stop_sink
echo
echo "-- what the program reported"
cat "$work/program.log"
echo
echo "-- what the sink received"
cat "$work/sink.log"
echo
echo "-- the sink's summary"
echo "$summary"
# The scripted drop is a loss, and the program says so by its exit code.
[ "$status" -eq 1 ] || { echo "demo: the example ended with $status, not with 1 for the dropped event" >&2; exit 1; }
case $summary in
*'"accepted":3'*'"violations":{}'*) echo; echo "demo: 3 of 4 events delivered once, 1 dropped by the server and reported, no violation" ;;
*) echo "demo: the sink saw something else than three accepted events and no violation" >&2; exit 1 ;;
esac
