#!/usr/bin/env bash
# reload.sh SINK: dlopen, use, close, dlclose, and again.
set -euo pipefail
cd "$(dirname "$0")/.."
SINK=$1
. scripts/common.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cc -std=c11 -D_GNU_SOURCE -O1 -Wall -Wextra -Werror -Iinclude tests/c/reload.c -ldl -o "$work/reload"
start_sink "$work" --quiet
timeout 60 "$work/reload" "$PWD/target/ship/libphc.so" "http://127.0.0.1:$SINK_PORT"
summary=$(curl -fsS "http://127.0.0.1:$SINK_PORT/_summary")
stop_sink
case $summary in
*'"accepted":40,'*'"violations":{}'*) echo "loaded and unloaded 20 times, and as often in a child: 40 events arrived" ;;
*) echo "the sink saw something else: $summary" >&2; exit 1 ;;
esac
