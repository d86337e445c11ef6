#!/usr/bin/env bash
# compare.sh [PEER]: what a capture costs its caller by the extension, by FFI, and with posthog-php of the checkout
# PEER: RUNS processes of each, in turn, with five rounds each. Prints the median and the range, in microseconds.
# It takes target/ship/libphc.so: `make build`.
set -euo pipefail
cd "$(dirname "$0")/../.."
peer=${1:-} runs=${RUNS:-3}
scripts/php-extension.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export PHC_LIBRARY=$PWD/target/ship/libphc.so
unset PEER_PHP

measured() {
    local name=$1 settings=$2
    shift 2
    PHP_INI_SCAN_DIR=$PWD/target/php-ext/ini/$settings env "$@" >>"$work/$name"
}
for ((run = 0; run < runs; run++)); do
    measured array ffi php benches/php/capture.php array
    measured extension extension php benches/php/capture.php extension
    measured ffi ffi php benches/php/capture.php ffi
    [ -z "$peer" ] || measured peer ffi PEER_PHP="$peer" php benches/php/capture.php
done

median() { sort -n "$work/$1" | awk '{ of[NR] = $1 } END { print of[int((NR + 1) / 2)] }'; }
row() {
    local name=$1 label=$2
    [ -f "$work/$name" ] || { echo "| $label | not run | | |"; return; }
    sort -n "$work/$name" | awk -v label="$label" -v ours="$(median extension)" '
        { of[NR] = $1 }
        END { median = of[int((NR + 1) / 2)]
              printf "| %s | %.2f | %.2f to %.2f | %.1f |\n", label, median, of[1], of[NR], median / ours }'
}
version=''
if [ -n "$peer" ]; then
    version=$(sed -n "s/.*const VERSION = '\(.*\)';.*/ \1/p" "$peer/lib/PostHog.php")
    version+=" ($(git -C "$peer" rev-parse --short HEAD 2>/dev/null || echo 'no commit'))"
fi
echo "| a capture, $(php -r 'echo "PHP ", PHP_VERSION;') | µs, median | range | times the extension |"
echo "|---|---|---|---|"
row array "the array alone"
row extension "libphc, extension"
row ffi "libphc, FFI"
row peer "posthog-php$version"
