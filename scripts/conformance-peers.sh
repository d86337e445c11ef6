#!/usr/bin/env bash
# make conformance-peers: installs official SDKs below target/peers, runs the conformance suite against each, and
# writes docs/conformance-peers.md. It needs python3 with venv, node with npm, and cargo, and their package registries.
#   conformance-peers.sh [OPTION…]      options of `phc-conformance run`
set -euo pipefail
cd "$(dirname "$0")/.."
peers=target/peers runner=target/debug/phc-conformance
mkdir -p "$peers/node"

echo "== install"
[ -x "$peers/python/bin/python" ] || python3 -m venv "$peers/python"
"$peers/python/bin/python" -m pip install -q --upgrade "posthog>=7.91"
npm install --prefix "$peers/node" --silent --no-fund --no-audit "posthog-node@^5.70"
cargo update -q --manifest-path conformance/peers/rust/Cargo.toml
CARGO_TARGET_DIR=$PWD/$peers/rust cargo build -q --manifest-path conformance/peers/rust/Cargo.toml

templates=conformance/templates
workers=(
    "python=$peers/python/bin/python $templates/python/worker.py conformance/peers/python/sdk.py"
    "node=env PEER_MODULES=$peers/node node $templates/javascript/worker.mjs conformance/peers/node/sdk.mjs"
    "rust=$peers/rust/debug/peer-worker"
)
echo "== does each worker speak the protocol?"
for worker in "${workers[@]}"; do
    "$runner" worker-test "${worker#*=}" 2>"$peers/stderr.txt" >"$peers/worker-test.txt" ||
        { cat "$peers/worker-test.txt" >&2; exit 1; }
done

# The SDKs wait for seconds in many cases, so that more of them can be run at once than the machine has cores.
echo "== run"
options=(--jobs 16 --level "server,protocol" --json "$peers/results.json" --html "$peers/results.html" "$@")
for worker in "${workers[@]}"; do
    options+=(--worker "$worker")
done
# 1: some cases fail, which is what the page is about.
"$runner" run "${options[@]}" >"$peers/results.txt" 2>"$peers/stderr.txt" || [ $? -eq 1 ]
grep ' passed, ' "$peers/results.txt"
conformance/peers/page.py "$peers/results.json"
echo "docs/conformance-peers.md is written; $peers/results.txt has every failure with its reason"
