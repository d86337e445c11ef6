#!/usr/bin/env bash
# hosts-ruby.sh SINK [full]: the gem in its real hosts, counted at the sink: Puma in
# cluster mode through restarts and stops, and a fork for each job as in Resque.
set -euo pipefail
cd "$(dirname "$0")/.."
SINK=$1
requests=200 jobs=24
[ "${2-}" != full ] || { requests=5000 jobs=600; }
. scripts/common.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
start_sink "$work" --quiet
export PHC_SINK=127.0.0.1:$SINK_PORT PHC_LIBRARY=$PWD/target/ship/libphc.so
hosts=bindings/ruby/test/hosts
timeout 900 ruby -Ibindings/ruby/lib "$hosts/puma_cluster.rb" "$requests"
timeout 600 ruby -Ibindings/ruby/lib "$hosts/resque_style.rb" "$jobs"
stop_sink
