#!/usr/bin/env bash
# make test-hosts: every binding in its real hosts, with full numbers (make test
# has the same with small ones).
set -uo pipefail
cd "$(dirname "$0")/.."
failed=0
for hosts in tests/hosts-*.sh; do
    echo "== $hosts full"
    "$hosts" target/release/phc-sink full || failed=1
done
exit $failed
