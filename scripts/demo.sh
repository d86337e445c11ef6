#!/usr/bin/env bash
# make demo: the C example against the local sink, or against a real server.
#   demo.sh PREFIX_OF_AN_INSTALLATION SINK [HOST API_KEY]
set -euo pipefail
prefix=$1 SINK=$2 host=${3-} api_key=${4-}
cd "$(dirname "$0")/.."
. scripts/common.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

echo "== compile examples/c/quickstart.c against the library in $prefix"
export PKG_CONFIG_PATH="$prefix/lib/pkgconfig"
read -ra flags < <(pkg-config --define-variable=prefix="$prefix" --cflags --libs phc)
cc -std=c11 -Wall -Wextra -Werror examples/c/quickstart.c "${flags[@]}" -Wl,-rpath,"$prefix/lib" -o "$work/quickstart"

if [ -n "$host" ]; then
    echo "== run it against $host"
    "$work/quickstart" "$host" "$api_key"
    exit
fi

# One 503 first; then one event is to be retried and one is dropped.
cat >"$work/script.json" <<'SCRIPT'
{"steps": [
  {"status": 503, "headers": {"Retry-After": "1"}},
  {"verdicts": {"button clicked": {"result": "drop", "details": "scripted"},
                "order placed": {"result": "retry", "details": "scripted"},
                "*": "ok"}}
]}
SCRIPT
start_sink "$work" --script "$work/script.json"
echo "== run it against phc-sink on port $SINK_PORT, which responds with a 503 first, then with one drop and one retry"
status=0
"$work/quickstart" "http://127.0.0.1:$SINK_PORT" phc_demo >"$work/program.log" 2>&1 || status=$?
summary=$(curl -fsS "http://127.0.0.1:$SINK_PORT/_summary")
stop_sink
echo
echo "-- the program says"
cat "$work/program.log"
echo
echo "-- the sink says"
cat "$work/sink.log"
echo
echo "-- side by side"
awk '
    FNR == NR { if ($1 ~ /^[0-9a-f-]+$/ && length($1) == 36) { said = $2; sub(/:$/, "", said); program[$1] = said }; next }
    /^    / && length($NF) == 36 { saw[$NF] = saw[$NF] " " $1; name[$NF] = substr($0, 14, 24); order[$NF] = order[$NF] ? order[$NF] : ++n; ids[order[$NF]] = $NF }
    END {
        printf "%-38s%-26s%-20s%s\n", "event", "", "the program says", "the sink responded, attempt by attempt"
        for (i = 1; i <= n; i++) { id = ids[i]; printf "%-38s%-26s%-20s%s\n", id, name[id], program[id], saw[id] }
    }' "$work/program.log" "$work/sink.log"
echo
# The scripted drop is a loss, and the program says so by its exit code.
[ "$status" -eq 1 ] || { echo "demo: the example ended with $status, not with 1 for the dropped event" >&2; exit 1; }
case $summary in
*'"accepted":3,'*'"violations":{}'*) echo "demo: 3 of 4 events arrived exactly once, 1 was dropped by the server and reported; no rule was broken" ;;
*) echo "demo: the sink saw something else: $summary" >&2; exit 1 ;;
esac
