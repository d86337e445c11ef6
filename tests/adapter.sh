#!/usr/bin/env bash
# adapter.sh SINK [SDK]: the adapter protocol by hand, as a harness would use it: both
# modes, all codecs; and the runner against the adapter as against any SDK's.
set -euo pipefail
cd "$(dirname "$0")/.."
SINK=$1 sdk=${2:-c}
. scripts/common.sh
work=$(mktemp -d)
adapter=
trap 'kill "${adapter:-0}" 2>/dev/null || true; rm -rf "$work"' EXIT
start_sink "$work" --quiet
sink=http://127.0.0.1:$SINK_PORT
worker=$(scripts/workers.sh "$sdk")

fail() { echo "FAILED: $*" >&2; exit 1; }
has() { case $1 in *"$2"*) ;; *) fail "\"$2\" is not in $1" ;; esac; }
get() { curl -sS --max-time 30 "http://127.0.0.1:$port$1"; }
post() { curl -sS --max-time 30 -X POST -H 'Content-Type: application/json' -d "${2-}" "http://127.0.0.1:$port$1"; }

start_adapter() {
    COMPRESSION=$1 target/release/phc-conformance adapter --worker "${worker#*=}" --port 0 >"$work/adapter" &
    adapter=$!
    for _ in $(seq 400); do grep -q listening "$work/adapter" && break; sleep 0.05; done
    port=$(sed -n 's/.*127.0.0.1:\([0-9]*\).*/\1/p' "$work/adapter")
}

for codec in gzip deflate br zstd; do
    start_adapter $codec
    has "$(get /health)" "\"encoding_$codec\""
    for id in '' '?test_id=one' '?test_id=two'; do
        space=/$codec/plain${id#*=}
        host=$sink$space
        has "$(post "/capture$id" '{}')" '"error"'
        has "$(post "/init$id" "{\"api_key\":\"phc_k\",\"host\":\"$host\",\"enable_compression\":true}")" '"success":true'
        has "$(post "/capture$id" '{"distinct_id":"u","event":"e","properties":null,"timestamp":null,"options":{"cookieless_mode":true}}')" '"uuid"'
        has "$(post "/flush$id")" '"events_flushed":1'
        state=$(get "/state$id")
        has "$state" '"total_events_sent":1'
        has "$state" '"retry_attempt":0'
        requests=$(curl -sS "$host/_requests")
        has "$requests" "\"encoding\":\"$codec\""
        if [ -n "$id" ]; then has "$requests" "\"x-test-id\":\"${id#*=}\""; else
            case $requests in *x-test-id*) fail "X-Test-Id without a test id" ;; esac
        fi
        has "$(curl -sS "$host/_events")" '"cookieless_mode":true'
        [ "$(curl -sS "$host/_violations")" = '[]' ] || fail "violations in $space"
        has "$(post "/reset$id")" '"success":true'
        has "$(get "/state$id")" '"requests_made":[]'
    done
    kill "$adapter"
    wait "$adapter" 2>/dev/null || true
done

# What the harness expects of time.
start_adapter gzip
host=$sink/timing
curl -sS -d '{"steps":[{"status":503,"headers":{"Retry-After":"1"},"times":2},{"headers":{"Retry-After":"1"}}]}' "$host/_script" >"$work/out"
post /init "{\"api_key\":\"k\",\"host\":\"$host\"}" >"$work/out"
post /capture '{"distinct_id":"u","event":"e","properties":{}}' >"$work/out"
started=$(date +%s%N)
has "$(post /flush)" '"success":true'
took=$((($(date +%s%N) - started) / 1000000))
[ $took -ge 2000 ] && [ $took -le 10000 ] || fail "two waits of a second took $took ms"
state=$(get /state)
has "$state" '"total_retries":2'
has "$state" '"status_code":503'

host=$sink/three
post /init "{\"api_key\":\"k\",\"host\":\"$host\",\"flush_at\":3}" >"$work/out"
for _ in 1 2 3; do post /capture '{"distinct_id":"u","event":"e","properties":{}}' >"$work/out"; done
has "$(curl -sS "$host/_wait?events=3&timeout_ms=10000")" '"ok":true'

host=$sink/four
curl -sS -d '{"then":{"status":503}}' "$host/_script" >"$work/out"
post /init "{\"api_key\":\"k\",\"host\":\"$host\",\"max_retries\":3}" >"$work/out"
post /capture '{"distinct_id":"u","event":"e","properties":{}}' >"$work/out"
post /flush >"$work/out"
has "$(curl -sS "$host/_summary")" '"requests":4'

# A reset silences: what waited in back-off is never sent.
host=$sink/silent
curl -sS -d '{"then":{"status":503,"headers":{"Retry-After":"3"}}}' "$host/_script" >"$work/out"
post /init "{\"api_key\":\"k\",\"host\":\"$host\",\"flush_at\":1}" >"$work/out"
post /capture '{"distinct_id":"u","event":"e","properties":{}}' >"$work/out"
has "$(curl -sS "$host/_wait?requests=1&timeout_ms=20000")" '"ok":true'
post /reset >"$work/out"
has "$(curl -sS "$host/_wait?requests=2&timeout_ms=3500")" '"ok":false'

# The suite against an adapter, as other SDKs run it.
target/release/phc-conformance run --adapter "adapter=http://127.0.0.1:$port" >"$work/out" || { cat "$work/out"; fail "the suite through the adapter"; }
tail -1 "$work/out"
kill "$adapter"
stop_sink
echo "adapter: passed"
