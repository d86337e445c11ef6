#!/usr/bin/env bash
# addresses.sh SINK: IPv6, and names that stand for several addresses.
set -euo pipefail
cd "$(dirname "$0")/.."
SINK=$1
. tests/one-event.sh

# A name of our own: which of its addresses answers is the test's choice.
printf '127.0.0.1 v4.test both.test\n::1 v6.test both.test\n127.0.0.9 dead.test\n::1 dead.test\n' >"$work/hosts"
cat >"$work/private" <<SCRIPT
mount --bind $work/hosts /etc/hosts && exec "\$@"
SCRIPT
prefix=("${private[@]}" sh "$work/private")

serve --listen "[::1]:0"
expect "an address of IPv6" ok -- "http://[::1]:$SINK_PORT"
expect "a name of IPv6" ok -- "http://v6.test:$SINK_PORT"
expect "both, and IPv6 answers" ok -- "http://both.test:$SINK_PORT"
expect "the first address refuses, the second answers" ok -- "http://dead.test:$SINK_PORT"
expect "a path behind an address of IPv6" ok -- "http://[::1]:$SINK_PORT/ingest/"

serve --listen 127.0.0.1:0
expect "an address of IPv4" ok -- "http://127.0.0.1:$SINK_PORT"
expect "a name of IPv4" ok -- "http://v4.test:$SINK_PORT"
expect "both, and IPv4 answers" ok -- "http://both.test:$SINK_PORT"
expect "IPv4 only, asked by IPv6" lost_events refused -- "http://[::1]:$SINK_PORT"
expect "no such name" lost_events "the name of the host is not found" -- "http://none.invalid:$SINK_PORT"
finish
