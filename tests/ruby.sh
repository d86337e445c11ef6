#!/usr/bin/env bash
# ruby.sh SINK [NAME…] [-- -n /pattern/]: the Ruby gem's tests, against target/ship/libphc.so and the
# sink: all of bindings/ruby/test, or the files that are named (waits, fork …).
set -euo pipefail
cd "$(dirname "$0")/.."
SINK=$1
shift
. scripts/common.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
start_sink "$work" --quiet
export PHC_SINK=127.0.0.1:$SINK_PORT PHC_LIBRARY=$PWD/target/ship/libphc.so
timeout 600 ruby -w -Ibindings/ruby/lib bindings/ruby/test/run.rb "$@"
stop_sink
