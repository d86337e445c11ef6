#!/usr/bin/env bash
# pack/source.sh: makes libphc-VERSION-src.tar.xz, from which the library is built without a network.
#
# It has the files of the commit and, in vendor/, the sources of every crate of Cargo.lock, with the checksums that
# Cargo.lock demands; .cargo/config.toml in it names that folder as the only source. So this works offline:
#
#     tar xf libphc-VERSION-src.tar.xz && cd libphc-VERSION && make build
#
# Left out: the crates of benches/, which are workspaces of their own. The same commit gives the same bytes,
# with the same tar and xz. Needs a network where cargo has not downloaded the crates yet. Fails if files differ from
# the commit, since they would be missing in the archive without a word: PHC_DIRTY=1 packs the commit without them.
set -euo pipefail
cd "$(dirname "$0")/../../.."
. scripts/common.sh
: "${PHC_VERSION:?}" "${PHC_OUT:?}"

if [ -n "$(git status --porcelain)" ] && [ "${PHC_DIRTY:-}" != 1 ]; then
    echo "source: these differ from the commit that would be packed; commit them, or set PHC_DIRTY=1:" >&2
    git status --short >&2
    exit 1
fi
name=libphc-$PHC_VERSION
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

git archive --prefix="$name/" HEAD | tar -x -C "$work"
# Two versions of one crate are two folders only with --versioned-dirs.
(cd "$work/$name" && three_times cargo vendor --quiet --locked --versioned-dirs vendor >/dev/null)
cat >>"$work/$name/.cargo/config.toml" <<'CONFIG'

# Added by scripts/dist/pack/source.sh.
[source.crates-io]
replace-with = "vendored-sources"

[source.vendored-sources]
directory = "vendor"
CONFIG

# Blocks of a fixed size, so that the number of processors does not show in the bytes. Level 1 takes a tenth of the
# time of level 6, for a quarter more bytes.
date=$(git log -1 --format=%ct)
tar --sort=name --format=gnu --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX --mtime="@$date" \
    -C "$work" -cf - "$name" | xz -1 --threads=2 --block-size=16MiB >"$PHC_OUT/$name-src.tar.xz"
echo "$name-src.tar.xz: $(stat -c %s "$PHC_OUT/$name-src.tar.xz") bytes, $(find "$work/$name/vendor" -mindepth 1 -maxdepth 1 | wc -l) crates"
