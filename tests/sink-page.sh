#!/usr/bin/env bash
# sink-page.sh [NAME [MODULE…]]: the live page of phc-sink in a headless Chromium, and the programs that it shows; the
# tests whose name has NAME in it, of all modules in tests/sink-page or of these.
set -euo pipefail
cd "$(dirname "$0")/sink-page"
name=${1:-test_}
[ $# -gt 0 ] && shift
[ $# -gt 0 ] || set -- test_page test_programs
for program in chromium chromedriver; do
    command -v "$program" >/dev/null || { echo "sink-page.sh: there is no $program; run make tools" >&2; exit 1; }
done
# No compiled Python beside the sources.
export PYTHONDONTWRITEBYTECODE=1
exec python3 run.py "$name" "$@"
