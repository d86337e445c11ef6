#!/usr/bin/env bash
# patches.sh [refresh]: whether each deliberate fault still applies: `make mutants`
# takes minutes, this none. With refresh, those that apply only roughly are
# written anew.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for patch in conformance/mutants/*.patch tests/faults/*/*.patch; do
    if [ "${1-}" != refresh ]; then
        git apply --check "$patch"
    elif ! git apply --check "$patch" 2>/dev/null; then
        mapfile -t files < <(sed -n 's|^+++ b/||p' "$patch")
        for file in "${files[@]}"; do
            mkdir -p "$work/a/$(dirname "$file")" "$work/b/$(dirname "$file")"
            cp "$file" "$work/a/$file"
            cp "$file" "$work/b/$file"
        done
        patch -s -d "$work/b" -p1 --fuzz=3 --no-backup-if-mismatch <"$patch"
        for file in "${files[@]}"; do
            (cd "$work" && diff -u --label "a/$file" --label "b/$file" "a/$file" "b/$file") || true
        done >"$work/new"
        cp "$work/new" "$patch"
        echo "refreshed ${patch##*/}"
    fi
done
