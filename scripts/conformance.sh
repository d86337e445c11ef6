#!/usr/bin/env bash
# conformance.sh run SDK [ARGUMENT…]: all cases against a language, or against all.
# conformance.sh adapter SDK PORT:    the adapter protocol, until it is stopped.
set -euo pipefail
cd "$(dirname "$0")/.."
runner=target/release/phc-conformance
what=$1 sdk=$2
shift 2
mapfile -t workers < <(scripts/workers.sh "$sdk")
# A build that fails is no empty list.
[ ${#workers[@]} -gt 0 ] || exit 2
case $what in
run)
    options=()
    for worker in "${workers[@]}"; do options+=(--worker "$worker"); done
    mkdir -p target/conformance
    exec "$runner" run "${options[@]}" --junit target/conformance/results.xml --json target/conformance/results.json "$@"
    ;;
adapter) exec "$runner" adapter --worker "${workers[0]#*=}" --port "$1" ;;
esac
