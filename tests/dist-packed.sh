#!/usr/bin/env bash
# dist-packed.sh: packs again what `make dist` packed, and compares: the same input gives the same bytes, also from files
# of another age, under another umask, in another time zone and another folder.
#
# It reads target/dist and dist/VERSION, so `make dist` must have run, with the same PHC_XZ_LEVEL and PHC_DIRTY.
set -euo pipefail
cd "$(dirname "$0")/.."
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
first=dist/$version
[ -f "$first/SHA256SUMS" ] || { echo "there is no $first/SHA256SUMS; run make dist" >&2; exit 1; }
grep -q "^commit: $(git rev-parse HEAD)" "$first/BUILDINFO" ||
    { echo "$first was packed from another commit, whose time its files have; run make dist" >&2; exit 1; }
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
mapfile -t targets < <(sed -n 's/^\[\(.*\)\]$/\1/p' "$first/BUILDINFO")

for target in "${targets[@]}"; do find "target/dist/$target" -type f -exec touch {} +; done
(umask 077 && TZ=Asia/Tokyo PHC_OUT=$work/second scripts/dist/pack.sh "${targets[@]}" >"$work/log" 2>&1) ||
    { cat "$work/log"; exit 1; }
# A release may be signed already.
if ! diff -rq --exclude=SHA256SUMS.minisig "$first" "$work/second"; then
    echo "packed again, these differ; pack/*.sh must make the same bytes from the same input" >&2
    exit 1
fi
echo "packed twice, the same bytes: $(wc -l <"$first/SHA256SUMS") files, ${targets[*]}"
