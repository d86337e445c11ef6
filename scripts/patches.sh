#!/usr/bin/env bash
# Whether each deliberate fault still applies: `make mutants` takes minutes, this none.
set -euo pipefail
cd "$(dirname "$0")/.."
for patch in conformance/mutants/*.patch; do git apply --check "$patch"; done
