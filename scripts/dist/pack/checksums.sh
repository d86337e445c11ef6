#!/usr/bin/env bash
# pack/checksums.sh: what says where a release is from, in PHC_OUT, and the checksums of everything that is there. The
# last of the pack scripts.
#
#   libphc-VERSION.cdx.json   the bill of materials (sbom.sh)
#   THIRD-PARTY.txt           the licences of what is linked into the library: docs/third-party/LICENCES.txt
#   THIRD-PARTY-phc-sink.txt  of what is linked into phc-sink
#   THIRD-PARTY-phc-cli.txt   of what is linked into phc-cli
#   BUILDINFO                 commit, compilers and hashes, target by target, to build it again and compare
#   SHA256SUMS                all other files, sorted; `make release` signs it, and `sign.sh verify` checks both
#
# Fails if a target was not built, or a package is empty.
set -euo pipefail
cd "$(dirname "$0")/../../.."
. scripts/dist/targets.sh
: "${PHC_VERSION:?}" "${PHC_TARGETS:?}" "${PHC_OUT:?}"
read -ra targets <<<"$PHC_TARGETS"

scripts/dist/sbom.sh "$PHC_OUT/libphc-$PHC_VERSION.cdx.json" "${targets[@]}"
install -m 644 docs/third-party/LICENCES.txt "$PHC_OUT/THIRD-PARTY.txt"
install -m 644 docs/third-party/LICENCES-phc-sink.txt "$PHC_OUT/THIRD-PARTY-phc-sink.txt"
install -m 644 docs/third-party/LICENCES-phc-cli.txt "$PHC_OUT/THIRD-PARTY-phc-cli.txt"

commit=$(git rev-parse HEAD)
[ -z "$(git status --porcelain)" ] || commit+=", with changes that are not committed"
{
    echo "# How this release of libphc was built. The same commit and compilers give the same bytes; the targets whose"
    echo "# proof is \`unproved\` were built and linked, and never run."
    echo "version: $PHC_VERSION"
    echo "commit: $commit"
    for target in "${targets[@]}"; do
        printf '\n[%s]\n' "$target"
        cat "${PHC_DIST:-target/dist}/$target.buildinfo"
    done
} >"$PHC_OUT/BUILDINFO"

cd "$PHC_OUT"
rm -f SHA256SUMS SHA256SUMS.minisig
empty=$(find . -type f -empty)
[ -z "$empty" ] || { echo "checksums: these packages are empty:" >&2; echo "$empty" >&2; exit 1; }
find . -type f -printf '%P\0' | LC_ALL=C sort -z | xargs -0 sha256sum >"$PHC_OUT.sums"
mv "$PHC_OUT.sums" SHA256SUMS
echo "SHA256SUMS: $(wc -l <SHA256SUMS) files, $(du -sh --apparent-size . | cut -f1)"
